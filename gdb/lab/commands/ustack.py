# SPDX-License-Identifier: GPL-2.0-only
"""lab ustack: the user backtrace of a task."""

from __future__ import annotations

import gdb

from ..linux import processors, registers, task
from ..linux.maps import Places
from ..programs.stack import UserFrame, UserStack
from ..programs.symfile import symbol_file
from ..result import Result, Table, columns
from ..target.elffile import BadElf
from ..target.memory import Broken
from .base import LabCommand, task_of, why_none

VDSO = "[vdso]"  # the kernel's own, in guest memory only


USER_FRAMES = columns(
    frame="number",
    kind="text",
    symbol="text",
    source="text",
    place="text",
    found_by="text",
    address="address",
    stack_pointer="address",
)


class Ustack(LabCommand):
    """The user backtrace of a task: lab ustack [PID] [FILE] [--json]

    From the registers that `lab regs` shows, up to where the thread began. The
    callers are found with the call frame information of the program's ELF file:
    build/user/NAME, PROGRAM, one in build/share, a file of the same path below
    /usr, /bin, /sbin or /lib of this machine, each only if its build id (without
    one, its program headers and code) is that in the process's memory; else the
    guest's own copy in its page cache. FILE names another one, for example the
    same program with its symbols. kind is "here", "call" for a return address, "interrupted" for
    where a signal came. place is the file and the offset in it. Where no ELF file
    is known a frame may still be found by rbp, which is a guess.

    Examples: the current task, and a program that was stripped for the guest.
        (gdb) lab ustack
        (gdb) lab ustack 61 build/user/demo
    """

    name = "ustack"

    def run(self, arguments: list[str]) -> Result:
        pid, given = self.take(arguments, "[PID]", "[FILE]")
        if given:
            try:
                symbol_file(given, is_given=True)
            except BadElf as why:
                raise gdb.GdbError(
                    f"{given} cannot be used: {why}; give the path of a program."
                ) from None
        address = task_of(pid)
        read, owner = task.task(address), task.with_memory(address)
        found = registers.of_user_mode(address, processors.running_on(address))
        if found is None or owner is None:
            gone = f"{task.ended(address)}: its memory is gone."
            why = why_none(address) if found is None else gone
            return Result([f"{read.comm}, pid {read.pid}, {why}"])
        regs, source = found
        where = Places(owner.mm, task.onlooker_root())
        stack_of = UserStack(owner.mm, where, given)
        table = Table("", USER_FRAMES)
        try:
            for number, frame in enumerate(stack_of.unwind(regs)):
                table.rows.append(_user_row(number, frame))
        except Broken as broken:
            table.broken = str(broken)
        said = [_no_file(name) for name in sorted(stack_of.modules.unknown)]
        copies = ", ".join(sorted(stack_of.modules.of_guest - {VDSO}))
        if copies:
            said.append(f"Read from the guest's own copy: {copies}.")
        return Result([f"{read.comm}, pid {read.pid}: {source}.", table, *said])


def _user_row(number: int, frame: UserFrame) -> tuple:
    """A frame as a row of USER_FRAMES."""
    return (
        number,
        frame.kind,
        frame.symbol,
        frame.source,
        frame.place,
        frame.found_by,
        frame.ip,
        frame.sp,
    )


def _no_file(name: str) -> str:
    return (
        f"No ELF file that is the same as {name} in memory is known: give its path as "
        "in `lab ustack PID FILE`."
    )
