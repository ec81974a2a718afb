# SPDX-License-Identifier: GPL-2.0-only
"""Counters with a part for each CPU: lib/percpu_counter.c."""

from __future__ import annotations

from ..target import kernel
from ..target.cstruct import Ptr
from .processors import per_cpu_ptr, possible_cpus
from .structs.lib import PercpuCounter


def percpu_counter_read(counter: Ptr[PercpuCounter]) -> tuple[int, int]:
    """A counter, and what the CPUs have not added to it yet. Raises memory.Fault.

    :param counter: struct percpu_counter *
    """
    guest = kernel.memory()
    read = PercpuCounter(guest, counter)
    pending = 0
    for cpu in possible_cpus():
        part = guest.read(per_cpu_ptr(read.counters, cpu), 4)
        pending += int.from_bytes(part, "little", signed=True)
    return read.count, pending


def percpu_counter_sum(counter: Ptr[PercpuCounter]) -> int:
    """A counter with all its parts. Raises memory.Fault.

    :param counter: struct percpu_counter *
    """
    return sum(percpu_counter_read(counter))
