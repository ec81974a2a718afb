# SPDX-License-Identifier: GPL-2.0-only
"""lab regs: the registers a task has in user mode."""

from __future__ import annotations

import gdb

from ..linux import entry, processors, registers, stack, task
from ..linux.maps import Places
from ..result import Result, Table, columns
from ..target.memory import Broken
from .base import LabCommand, task_of, why_none

REGISTERS = columns(register="text", value="address", meaning="text")


SYSCALL_KEEPS = {"cx": "where the call returns to", "r11": "the flags at the call"}


class Regs(LabCommand):
    """The registers a task has in user mode: lab regs [PID] [--json]

    Those that entry code saved at the top of the task's kernel stack, its
    pt_regs; or, for a task that runs in user mode now, those of its processor.
    orig_ax is the number of the system call the task is in; it is negative after
    an interrupt or exception. An address is followed by what it lies in: a file
    and the offset in it, or the stack, heap, ... and how far into it.

    Example:
        (gdb) lab regs 1
    """

    name = "regs"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        read, owner = task.task(address), task.with_memory(address)
        processor = processors.running_on(address)
        found = registers.of_user_mode(address, processor)
        if found is None:
            return Result([f"{read.comm}, pid {read.pid}, {why_none(address)}"])
        regs, source = found
        places = Places(owner.mm, task.onlooker_root()) if owner else None
        table = Table("", REGISTERS)
        result = _result(address, processor, regs)
        for name, value in regs._asdict().items():
            meaning = result if name == "ax" else _meaning(name, regs)
            said = [meaning, places.text(value) if places else ""]
            table.rows.append((name, value, ", ".join(filter(None, said))))
        for name, value in registers.bases(address, processor).items():
            table.rows.append((name, value, places.text(value) if places else ""))
        return Result([f"{read.comm}, pid {read.pid}: {source}.", table])


def _result(
    address: int, processor: processors.Processor | None, regs: registers.Registers
) -> str:
    """What ax is, "" for a task that is in no system call."""
    if registers.syscall_get_nr(regs) < 0:
        return ""
    frames: list[stack.Frame] = []
    try:
        for frame in stack.unwind(address, processor):
            frames.append(frame)
    except (Broken, gdb.GdbError):
        pass  # what could be read may be enough
    return entry.result_text(regs, frames)


def _meaning(name: str, regs: registers.Registers) -> str:
    """A phrase on what a register holds, beyond an address."""
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
