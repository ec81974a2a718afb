# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's monitor, through the debug stub: where a replay stands; and gdb kept quiet."""

from __future__ import annotations

import os
import re
import signal
from contextlib import contextmanager
from typing import Iterator

import gdb


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C until the end of the block, where it is a KeyboardInterrupt."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def monitor(command: str) -> str:
    """What QEMU says to a command. Raises gdb.error where there is no monitor.

    A Ctrl-C in the middle would leave QEMU's answer unread; gdb would take it for the
    answer to its next packet, and so on, and at last wait for ever.
    """
    with uninterrupted():
        return gdb.execute(f"monitor {command}", to_string=True) or ""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep gdb from printing where it stops.

    It reports a signal even where a command's output is captured, so its standard output
    goes to /dev/null meanwhile; not in the TUI, which draws there.
    """
    before = "on" if gdb.parameter("suppress-cli-notifications") else "off"
    windows = gdb.execute("info win", to_string=True) or ""
    in_tui = "not active" not in windows
    gdb.execute("set suppress-cli-notifications on")
    gdb.flush()
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        if not in_tui:
            os.dup2(null, 1)
        yield
    finally:
        gdb.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)
        gdb.execute(f"set suppress-cli-notifications {before}")


def replay_place() -> int | None:
    """Instructions since the reset, None if nothing is replayed."""
    try:
        found = re.search(
            r"^Replaying .*instruction count = (\d+)", monitor("info replay"), re.M
        )
    except gdb.error:
        return None  # kgdb, or another stub without a monitor
    return int(found[1]) if found else None


def going_back() -> bool:
    """Is gdb executing backwards?"""
    return "Reverse" in (gdb.execute("show exec-direction", to_string=True) or "")


@contextmanager
def forward() -> Iterator[None]:
    """Let gdb execute forward, even if the person has set exec-direction reverse."""
    back = going_back()
    try:
        if back:
            gdb.execute("set exec-direction forward")
        yield
    finally:
        if back:
            gdb.execute("set exec-direction reverse")
