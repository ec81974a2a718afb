# SPDX-License-Identifier: GPL-2.0-only
"""lab current: what each processor is at."""

from __future__ import annotations

from ..linux import entry, stack, task
from ..linux.processors import Processor, preempt_count, processors
from ..result import Result, Table, columns
from ..target.memory import Broken
from .base import LabCommand

COLUMNS = columns(
    cpu="number",
    thread="number",
    pid="number",
    comm="text",
    mode="text",
    context="text",
    entry="text",
    syscall="number",
    at="text",
    task="address",
)
COUNT_COLUMNS = columns(
    cpu="number",
    preempt_count="address",
    preempt="number",
    softirqs_disabled="number",
    in_softirq="number",
    hardirq="number",
    nmi="number",
    need_resched="text",
)


class Current(LabCommand):
    """The task on each processor, and what it does: lab current [--json]

    One row a processor: the kernel's number of it, gdb's thread, the task that
    runs, the mode (user, kernel), the context that preempt_count tells (process,
    softirq, hardirq, NMI), how the task came into the kernel (a system call, an
    interrupt, an exception, idle, a kernel thread; an interrupt of one of these
    is "... in ..."), and where it is. Entry code counts a hardirq only after its
    first instructions, so entry and context may differ for that long.

    The second table has the parts of preempt_count: how deep preemption is
    disabled (counted only by kernels with CONFIG_PREEMPT_COUNT), how deep
    softirqs are, whether one runs, how deep hardirqs and NMIs are.

    Example:
        (gdb) lab current
    """

    name = "current"

    def run(self, arguments: list[str]) -> Result:
        self.take(arguments)
        table = Table("", COLUMNS)
        counts = Table("preempt_count", COUNT_COLUMNS)
        for processor in processors():
            if processor.cpu is None:
                at = f"{processor.ip:#x}"
                unknown = (None, None, None, None)
                row = (None, processor.thread, *unknown, "not started", None, at, None)
                table.rows.append(row)
                continue
            table.rows.append(_row(processor, table))
            counts.rows.append(_count_row(processor.cpu))
        return Result([table, counts])


def _row(processor: Processor, table: Table) -> tuple:
    """A processor that the kernel uses as a row of COLUMNS."""
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
    return (
        processor.cpu,
        processor.thread,
        read.pid,
        read.comm,
        entry.mode(processor),
        preempt_count(processor.cpu).context,
        " in ".join(whats),
        ways[-1].syscall,
        frames[0].symbol or f"{processor.ip:#x}",
        processor.current,
    )


def _count_row(cpu: int) -> tuple:
    """A CPU as a row of COUNT_COLUMNS."""
    count = preempt_count(cpu)
    return (
        cpu,
        count.value,
        count.preempt,
        count.softirq_disabled,
        int(count.in_softirq),
        count.hardirq,
        count.nmi,
        "yes" if count.need_resched else "no",
    )
