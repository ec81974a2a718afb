# SPDX-License-Identifier: GPL-2.0-only
"""lab kstack: the kernel backtrace of a task."""

from __future__ import annotations

from ..linux import entry, kallsyms, processors, registers, stack, task
from ..result import Result, Table, columns
from ..target.memory import Broken
from .base import LabCommand, goes_on, task_of

FRAMES = columns(
    frame="number",
    kind="text",
    symbol="text",
    source="text",
    function="text",
    stack="text",
    address="address",
    place="address",
)


class Kstack(LabCommand):
    """The kernel backtrace of a task: lab kstack [PID] [--json]

    For a task that sleeps from where the scheduler left it; for one that runs
    from the registers of its processor. Symbols are as the kernel prints them,
    those of a module with its name behind: rd+0xe/0x20 [hello].
    kind is "running" for where a processor is, "call" for a return address,
    "scheduler" for one that /proc/PID/stack leaves out, "start" for where a new
    task will begin, "interrupted" for where an interrupt or exception came, and
    "user" for where user mode goes on.
    function is what the source line belongs to if it was inlined; stack is the
    one the frame is on: task, irq, entry, or that of an exception; place is
    where the frame, or the saved registers, start.

    Example:
        (gdb) lab kstack 1
    """

    name = "kstack"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        processor = processors.running_on(address)
        if processor is None and not registers.task_stack_page(address):
            read = task.task(address)
            said = "has no kernel stack"
            if task.has_exited(address):
                said = f"has ended and has no kernel stack any more{goes_on(address)}"
            return Result([f"{read.comm}, pid {read.pid}, {said}."])
        table = Table("", FRAMES)
        frames: list[stack.Frame] = []
        try:
            for frame in stack.unwind(address, processor):
                frames.append(frame)
                table.rows.append(_row(len(table.rows), frame))
        except Broken as broken:
            table.broken = str(broken)
        return Result([_heading(address, processor, frames, table.broken), table])


def _heading(
    address: int,
    processor: processors.Processor | None,
    frames: list[stack.Frame],
    broken: str,
) -> str:
    """One sentence: which task, where it runs or that it does not, whence it came."""
    read = task.task(address)
    who = f"{read.comm}, pid {read.pid}"
    if processor is not None:
        who += f", runs on CPU {processor.cpu}"
    else:
        who += ", does not run"
    if broken:
        return f"{who}."
    ways = entry.entries(address, frames)
    return f"{who}; {' in '.join(way.what for way in ways)}."


def _row(number: int, frame: stack.Frame) -> tuple:
    """A frame as a row of FRAMES."""
    source = frame.source
    symbol = frame.symbol
    kind: str = frame.kind
    if kind == "call" and kallsyms.in_sched_functions(frame.ip):
        kind = "scheduler"
    inlined = source.function if not symbol.startswith(f"{source.function}+") else ""
    return (
        number,
        kind,
        symbol,
        str(source),
        inlined,
        frame.stack,
        frame.ip,
        frame.place,
    )
