# SPDX-License-Identifier: GPL-2.0-only
"""The registers a task has in user mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import entry, processors, registers, stack, task
from ..linux.maps import Places
from ..linux.structs.sched import TaskStruct
from ..linux.structs.x86 import PtRegs
from ..result import Address, Report, Table, Words
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.memory import Broken
from .processes import why_none


class RegisterRow(NamedTuple):
    """A register, and what its value means."""

    register: Words
    value: Address
    meaning: Words


SYSCALL_KEEPS = {"cx": "where the call returns to", "r11": "the flags at the call"}


@dataclass
class RegsReport(Report, schema="regs"):
    """Whose registers, where they were found, and their values."""

    task: str
    registers: Table[RegisterRow] | None = None


def describe(address: Ptr[TaskStruct]) -> RegsReport:
    """Find the user-mode registers of a task."""
    read, owner = task.task(address), task.with_memory(address)
    processor = processors.running_on(address)
    found = registers.of_user_mode(address, processor)
    if found is None:
        return RegsReport(f"{read.comm}, pid {read.pid}, {why_none(address)}")
    regs, source = found
    places = Places(owner.mm, task.onlooker_root()) if owner else None
    table = Table(RegisterRow, "")
    result = _result(address, processor, regs)
    for name in registers.NAMES:
        value = getattr(regs, name)
        meaning = result if name == "ax" else _meaning(name, regs)
        place = places.text(value) if places else ""
        text = ", ".join(filter(None, (meaning, place)))
        table.rows.append(RegisterRow(name, value, text))
    for name, value in registers.bases(address, processor).items():
        text = places.text(value) if places else ""
        table.rows.append(RegisterRow(name, value, text))
    return RegsReport(f"{read.comm}, pid {read.pid}: {source}.", table)


def _result(
    address: Ptr[TaskStruct],
    processor: processors.Processor | None,
    regs: PtRegs,
) -> str:
    """The meaning of ax, "" for a task that is in no system call."""
    if registers.syscall_get_nr(regs) < 0:
        return ""
    frames: list[stack.Frame] = []
    try:
        for frame in stack.unwind(address, processor):
            frames.append(frame)
    except (Broken, Refused):
        pass  # what could be read may be enough
    return entry.result_text(regs, frames)


def _meaning(name: str, regs: PtRegs) -> str:
    """A phrase on the value of a register that is not an address."""
    number = registers.syscall_get_nr(regs)
    if name == "orig_ax":
        return entry.syscall_text(number) if number >= 0 else "in no system call"
    if name == "flags":
        return " ".join(registers.flag_names(regs.flags))
    if name == "cs":
        return "user mode" if registers.user_mode(regs) else "kernel mode"
    if number < 0:
        return ""
    if name in registers.ARGUMENTS:
        return f"argument {registers.ARGUMENTS.index(name) + 1}"
    return SYSCALL_KEEPS.get(name, "")
