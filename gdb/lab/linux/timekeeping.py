# SPDX-License-Identifier: GPL-2.0-only
"""Guest time: what the kernel's clock showed when it last looked."""

from __future__ import annotations

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Fault
from .processors import per_cpu_offsets
from .structs.sched import Rq

structs.expect("runqueues")


def guest_time() -> int:
    """Nanoseconds since boot: the clock of the scheduler, as dmesg counts.

    The latest of all processors' run queues. A processor brings its own up to date
    at each tick, wake-up and switch (update_rq_clock() in kernel/sched/core.c), so
    this is late by up to a tick. Raises memory.Fault.
    """
    guest = kernel.memory()
    place = structs.address_of("runqueues")
    clocks = [
        Rq(guest, Ptr[Rq](place + offset)).clock
        for offset in per_cpu_offsets()
        if offset
    ]
    if not clocks:
        raise Fault(place, "no CPU has per-CPU variables")
    return max(clocks)
