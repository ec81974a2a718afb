# SPDX-License-Identifier: GPL-2.0-only
"""Pending timers: kernel/time/timer.c, kernel/time/hrtimer.c."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import NULL, Ptr
from ..target.memory import Broken, Fault
from . import kallsyms, processors
from .structs.irq import Hrtimer, HrtimerClockBase, TimerBase, TimerList
from .structs.lib import RbNode

MOST_TIMERS = 1 << 20
CLOCKS = ("monotonic", "realtime", "boottime", "tai")  # enum hrtimer_base_type
structs.expect("timer_bases", "hrtimer_bases", "jiffies_64")


@dataclass(frozen=True)
class Timer:
    """A timer that waits."""

    cpu: int
    kind: str  # wheel, or the clock of a high-resolution timer
    expires: int  # jiffies; nanoseconds of its clock
    function: str
    address: Ptr[object]


def timers() -> Iterator[Timer]:
    """The timers in each CPU's wheels, the next one first on each. Raises Broken."""
    size = structs.sizeof("struct timer_base")
    count = structs.variable_size("timer_bases") // size
    start, guest = structs.address_of("timer_bases"), kernel.memory()
    for cpu in processors.online_cpus():
        found: list[Timer] = []
        for number in range(count):
            own = Ptr[TimerBase](start + number * size)
            try:
                base = TimerBase(guest, processors.per_cpu_ptr(own, cpu))
                found += _of_wheel(base, cpu)
            except Fault as fault:
                raise Broken(f"the timers of CPU {cpu} are cut: {fault}") from None
        yield from sorted(found, key=lambda timer: timer.expires)


def _of_wheel(base: TimerBase, cpu: int) -> Iterator[Timer]:
    guest, seen = kernel.memory(), 0
    for (first,) in struct.iter_unpack("<Q", base.vectors):
        here = Ptr[TimerList](first)
        while here:
            seen += 1
            if seen > MOST_TIMERS:
                raise Broken(f"the timers of CPU {cpu} are a cycle")
            read = TimerList(guest, here)
            name = kallsyms.symbol_name(read.function) or f"{read.function:#x}"
            yield Timer(cpu, "wheel", read.expires, name, here)
            here = read.next


def hrtimers() -> Iterator[Timer]:
    """The high-resolution timers, by CPU and clock. Raises Broken."""
    guest, start = kernel.memory(), structs.address_of("hrtimer_bases")
    first, array = structs.member("struct hrtimer_cpu_base", "clock_base")
    size = structs.sizeof("struct hrtimer_clock_base")
    for cpu in processors.online_cpus():
        for number in range(array.count):
            place = Ptr[HrtimerClockBase](start + first + number * size)
            clock = CLOCKS[number % len(CLOCKS)]
            if number >= len(CLOCKS):
                clock += ", soft"
            try:
                base = HrtimerClockBase(guest, processors.per_cpu_ptr(place, cpu))
                for node in _in_order(base.rb_node):
                    timer = Hrtimer(guest, Ptr[Hrtimer](node))
                    name = kallsyms.symbol_name(timer.function)
                    name = name or f"{timer.function:#x}"
                    yield Timer(cpu, clock, timer.expires, name, timer.address)
            except Fault as fault:
                raise Broken(f"the timers of CPU {cpu} are cut: {fault}") from None


def _in_order(root: Ptr[RbNode]) -> Iterator[Ptr[RbNode]]:
    """The nodes of a red-black tree, from the left. Raises Broken, Fault."""
    guest, above, here = kernel.memory(), list[RbNode](), root
    seen: set[int] = set()
    while here or above:
        while here:
            if here in seen:
                raise Broken(f"a tree of timers is a cycle: {here:#x} comes again")
            seen.add(here)
            above.append(RbNode(guest, here))
            here = above[-1].rb_left
        node = above.pop()
        yield node.address
        here = node.rb_right or NULL
