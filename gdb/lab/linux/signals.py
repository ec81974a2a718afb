# SPDX-License-Identifier: GPL-2.0-only
"""Signals: names, sets, and what a process does with them (kernel/signal.c)."""

from __future__ import annotations

import signal
import struct

from ..target import kernel, structs
from ..target.cstruct import Ptr
from . import lists
from .structs.lib import ListHead
from .structs.sched import KSigaction, SighandStruct, Sigpending, Sigqueue

NSIG = 64
ALL = (1 << NSIG) - 1
SIGCHLD = 17  # arch/x86/include/uapi/asm/signal.h
SIG_DFL, SIG_IGN = 0, 1  # sa_handler, include/uapi/asm-generic/signal-defs.h
SIGRTMIN, SIGRTMAX = 34, 64  # as glibc counts; it keeps 32 and 33 for itself


def signal_name(number: int) -> str:
    """A signal's name as kill(1) knows it: SIGTERM, SIGRTMIN+1."""
    if SIGRTMIN <= number <= SIGRTMAX:
        return f"SIGRTMIN+{number - SIGRTMIN}" if number > SIGRTMIN else "SIGRTMIN"
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def set_names(mask: int) -> list[str]:
    """The signals in a sigset_t, the lowest first."""
    return [signal_name(bit + 1) for bit in range(NSIG) if mask >> bit & 1]


def set_text(mask: int) -> str:
    """A sigset_t in words; of a nearly full one what is not in it."""
    missing = set_names(~mask & ALL)
    if len(missing) > NSIG // 2:
        return " ".join(set_names(mask))
    return f"all but {' '.join(missing)}" if missing else "all"


def collect_sigign_sigcatch(sighand: Ptr[SighandStruct]) -> tuple[int, int]:
    """The signals a process ignores, and those it catches, as two sets.

    See fs/proc/array.c.

    :param sighand: struct sighand_struct *
    :raises Fault: what it takes cannot be read
    """
    guest = kernel.memory()
    step = structs.sizeof("struct k_sigaction")
    place = sighand + structs.offsetof("struct sighand_struct", "action")
    data = memoryview(guest.read(place, NSIG * step))
    ignored = caught = 0
    for bit in range(NSIG):
        action = KSigaction.of(Ptr(place + bit * step), data[bit * step :])
        handler = action.sa_handler
        if handler == SIG_IGN:
            ignored |= 1 << bit
        elif handler != SIG_DFL:
            caught |= 1 << bit
    return ignored, caught


def queued(sigpending: Ptr[Sigpending]) -> list[int]:
    """The signals queued with a siginfo, in order of arrival.

    :param sigpending: struct sigpending *
    :raises Broken, Fault: a list or tree is damaged, or cannot be read
    """
    guest = kernel.memory()
    head = Ptr[ListHead](sigpending + structs.offsetof("struct sigpending", "list"))
    inside = structs.offsetof("struct sigqueue", "info.si_signo")
    return [
        struct.unpack("<i", guest.read(entry + inside, 4))[0]
        for entry in lists.list_for_each_entry(head, Sigqueue, "list")
    ]
