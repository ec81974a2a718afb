# SPDX-License-Identifier: GPL-2.0-only
"""The kernel backtrace of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import entry, kallsyms, processors, registers, stack, task
from ..linux.structs.sched import TaskStruct
from ..result import Address, Number, Report, Table, Words
from ..target.cstruct import Ptr
from ..target.memory import Broken
from .processes import goes_on


class FrameRow(NamedTuple):
    """A frame of a kernel stack."""

    frame: Number
    kind: Words
    symbol: Words
    source: Words
    function: Words
    stack: Words
    address: Address
    place: Address


@dataclass
class KstackReport(Report, schema="kstack"):
    """Whose stack, and its frames, innermost first."""

    task: str
    frames: Table[FrameRow] | None = None


def describe(address: Ptr[TaskStruct]) -> KstackReport:
    """Unwind the kernel stack of a task."""
    processor = processors.running_on(address)
    if processor is None and not registers.task_stack_page(address):
        read = task.task(address)
        why = "has no kernel stack"
        if task.has_exited(address):
            why = f"has ended and has no kernel stack any more{goes_on(address)}"
        return KstackReport(f"{read.comm}, pid {read.pid}, {why}.")
    table = Table(FrameRow, "")
    frames: list[stack.Frame] = []
    try:
        for frame in stack.unwind(address, processor):
            frames.append(frame)
            table.rows.append(_row(len(table.rows), frame))
    except Broken as broken:
        table.broken = str(broken)
    heading = _heading(address, processor, frames, table.broken)
    return KstackReport(heading, table)


def _heading(
    address: Ptr[TaskStruct],
    processor: processors.Processor | None,
    frames: list[stack.Frame],
    broken: str,
) -> str:
    """One sentence: which task, whether it runs, and how it entered the kernel."""
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


def _row(number: int, frame: stack.Frame) -> FrameRow:
    """The row of a frame."""
    source = frame.source
    symbol = frame.symbol
    kind: str = frame.kind
    if kind == "call" and kallsyms.in_sched_functions(frame.ip):
        kind = "scheduler"
    inlined = source.function if not symbol.startswith(f"{source.function}+") else ""
    return FrameRow(
        frame=number,
        kind=kind,
        symbol=symbol,
        source=str(source),
        function=inlined,
        stack=frame.stack,
        address=frame.ip,
        place=frame.place,
    )
