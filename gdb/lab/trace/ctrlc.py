# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C while a timeline runs.

gdb passes a Ctrl-C on to QEMU, which ignores it when the guest has come to one of
the stops by itself in the meantime, and gdb then continues: so it is waited for here.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import Callable, Iterator

import gdb

from ..target.unforeseen import handler

PERIOD = 0.1  # seconds


@contextmanager
def told_of_ctrl_c(tell: Callable[[], None]) -> Iterator[None]:
    """Meanwhile Ctrl-C calls tell(), in another thread, and stops the guest."""
    done = threading.Event()

    @handler("lab trace")
    def stop_guest() -> None:
        thread = None if done.is_set() else gdb.selected_thread()
        if thread is not None and thread.is_running():
            gdb.execute("interrupt")

    def wait() -> None:
        while not done.is_set():
            if signal.sigtimedwait({signal.SIGINT}, PERIOD) is not None:
                tell()
                gdb.post_event(stop_guest)

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    try:
        yield
    finally:
        done.set()
        waiter.join()
        while signal.sigtimedwait({signal.SIGINT}, 0) is not None:
            pass  # one more, while the stops were removed
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
