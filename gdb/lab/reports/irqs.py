# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts, softirqs and pending timers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import irq, processors, startup, timer
from ..result import Address, Number, Report, Table, Words
from ..target import kernel, structs
from ..target.memory import Broken, Fault


class InterruptRow(NamedTuple):
    """A line of /proc/interrupts."""

    irq: Words
    total: Number
    by_cpu: Words  # how often each online CPU got it
    chip: Words | None
    hwirq: Number | None
    flow: Words | None
    handlers: Words  # names and functions, or the meaning of one of the CPUs' own
    state: Words


class SoftirqRow(NamedTuple):
    """A line of /proc/softirqs."""

    softirq: Words
    total: Number
    by_cpu: Words
    pending_on: Words | None  # CPUs
    action: Words | None


class TimerRow(NamedTuple):
    """A timer that waits."""

    cpu: Number
    kind: Words
    expires: Number  # jiffies, or nanoseconds of its clock
    in_jiffies: Number | None  # from now; None for a high-resolution timer
    function: Words
    address: Address


@dataclass
class IrqsReport(Report, schema="irqs"):
    """The CPUs in order; interrupts and who handles them; softirqs; pending timers."""

    cpus: str
    interrupts: Table[InterruptRow]
    softirqs: Table[SoftirqRow]
    timers: Table[TimerRow]


def describe() -> IrqsReport:
    """All interrupts, softirqs and pending timers."""
    startup.need_processors()
    cpus = ", ".join(str(cpu) for cpu in processors.online_cpus())
    return IrqsReport(
        f"Numbers are of CPU {cpus}, in this order.",
        _interrupts(),
        _softirqs(),
        _timers(),
    )


def _interrupts() -> Table[InterruptRow]:
    table = Table(InterruptRow, "interrupts")
    try:
        for one in irq.interrupts():
            table.rows.append(
                InterruptRow(
                    irq=one.name,
                    total=sum(one.counts),
                    by_cpu=_by_cpu(one.counts),
                    chip=one.chip or None,
                    hwirq=one.hwirq,
                    flow=one.flow or None,
                    handlers=one.meaning or ", ".join(map(_handler, one.handlers)),
                    state="disabled" if one.is_disabled else "",
                )
            )
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    return table


def _by_cpu(counts: tuple[int, ...]) -> str:
    return " ".join(str(count) for count in counts)


def _handler(one: irq.Handler) -> str:
    thread = f", thread {one.thread}" if one.thread else ""
    return f"{one.name} ({one.function}{thread})"


def _softirqs() -> Table[SoftirqRow]:
    table = Table(SoftirqRow, "softirqs")
    try:
        for one in irq.softirqs():
            pending = ", ".join(str(cpu) for cpu in one.pending)
            table.rows.append(
                SoftirqRow(
                    softirq=one.name,
                    total=sum(one.counts),
                    by_cpu=_by_cpu(one.counts),
                    pending_on=pending or None,
                    action=one.action or None,
                )
            )
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    return table


def _timers() -> Table[TimerRow]:
    table = Table(TimerRow, "timers that wait")
    now = kernel.memory().u64(structs.address_of("jiffies_64"))
    try:
        for one in timer.timers():
            table.rows.append(_timer(one, one.expires - now))
        for one in timer.hrtimers():
            table.rows.append(_timer(one, None))
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    return table


def _timer(one: timer.Timer, left: int | None) -> TimerRow:
    return TimerRow(one.cpu, one.kind, one.expires, left, one.function, one.address)
