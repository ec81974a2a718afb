# SPDX-License-Identifier: GPL-2.0-only
"""What each CPU is doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import entry, stack, task
from ..linux.processors import QUESTIONS, Processor, preempt_count, processors
from ..result import Address, Number, Report, Table, Words
from ..target.memory import Broken


class ProcessorRow(NamedTuple):
    """A CPU; its number in the kernel is None until the kernel uses it."""

    cpu: Number | None
    thread: Number  # gdb's
    pid: Number | None
    comm: Words | None
    mode: Words | None
    context: Words | None
    entry: Words
    syscall: Number | None
    at: Words
    task: Address | None


class CountRow(NamedTuple):
    """A CPU's preempt count, taken apart."""

    cpu: Number
    preempt_count: Address
    preempt: Number
    softirqs_disabled: Number
    in_softirq: Number
    hardirq: Number
    nmi: Number
    need_resched: Words


class ContextRow(NamedTuple):
    """What the kernel's own functions answer on a CPU."""

    cpu: Number
    in_task: Words
    in_interrupt: Words
    in_softirq: Words  # bottom halves switched off count, too
    in_hardirq: Words
    in_nmi: Words
    in_atomic: Words
    irqs_disabled: Words


@dataclass
class CurrentReport(Report, schema="current"):
    """All CPUs, the parts of each preempt_count, and what functions make of them."""

    processors: Table[ProcessorRow]
    preempt_counts: Table[CountRow]
    contexts: Table[ContextRow]


def describe() -> CurrentReport:
    """Read the state of all CPUs."""
    table = Table(ProcessorRow, "")
    counts = Table(CountRow, "preempt_count")
    contexts = Table(ContextRow, "what kernel code is told there, and by which bits")
    for processor in processors():
        if processor.cpu is None:
            row = ProcessorRow(
                cpu=None,
                thread=processor.thread,
                pid=None,
                comm=None,
                mode=None,
                context=None,
                entry="not started",
                syscall=None,
                at=f"{processor.ip:#x}",
                task=None,
            )
            table.rows.append(row)
            continue
        table.rows.append(_row(processor, processor.cpu, table))
        counts.rows.append(_count_row(processor.cpu))
        contexts.rows.append(_context_row(processor, processor.cpu))
    return CurrentReport(table, counts, contexts)


def _row(processor: Processor, cpu: int, table: Table[ProcessorRow]) -> ProcessorRow:
    """The row of a CPU that the kernel uses."""
    frames: list[stack.Frame] = []
    broken = ""
    try:
        for frame in stack.unwind(processor.current, processor):
            frames.append(frame)
    except Broken as trouble:
        broken = f"CPU {processor.cpu}: {trouble}"
    ways = entry.entries(processor.current, frames)
    whats = [way.what for way in ways]
    if broken:
        whats[-1] = "unknown"
        table.broken = "; ".join(filter(None, (table.broken, broken)))
    read = task.task(processor.current)
    return ProcessorRow(
        cpu=cpu,
        thread=processor.thread,
        pid=read.pid,
        comm=read.comm,
        mode=entry.mode(processor),
        context=preempt_count(cpu).context,
        entry=" in ".join(whats),
        syscall=ways[-1].syscall,
        at=frames[0].symbol or f"{processor.ip:#x}",
        task=processor.current,
    )


def _context_row(processor: Processor, cpu: int) -> ContextRow:
    """What in_task() and the others return on a CPU."""
    count = preempt_count(cpu)
    answers = {name: _answer(*count.is_(name)) for name in QUESTIONS}
    off = "yes, EFLAGS.IF is clear" if processor.irqs_disabled else "no"
    return ContextRow(cpu=cpu, irqs_disabled=off, **answers)


def _answer(holds: bool, bits: int) -> str:
    return f"{'yes' if holds else 'no'}{f', {bits:#x}' * bool(bits)}"


def _count_row(cpu: int) -> CountRow:
    """The row of a CPU's preempt count."""
    count = preempt_count(cpu)
    return CountRow(
        cpu=cpu,
        preempt_count=count.value,
        preempt=count.preempt,
        softirqs_disabled=count.softirq_disabled,
        in_softirq=int(count.in_softirq),
        hardirq=count.hardirq,
        nmi=count.nmi,
        need_resched="yes" if count.need_resched else "no",
    )
