# SPDX-License-Identifier: GPL-2.0-only
"""The user backtrace of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import processors, registers, task
from ..linux.maps import Places
from ..linux.structs.sched import TaskStruct
from ..programs.stack import UserFrame, UserStack
from ..programs.symfile import symbol_file
from ..result import Address, Number, Report, Table, Words
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.elffile import BadElf
from ..target.memory import Broken
from .processes import why_none

VDSO = "[vdso]"  # the kernel's own, in guest memory only


class UserFrameRow(NamedTuple):
    """A frame of a user stack."""

    frame: Number
    kind: Words
    symbol: Words
    source: Words
    place: Words
    found_by: Words
    address: Address
    stack_pointer: Address


@dataclass
class UstackReport(Report, schema="ustack"):
    """Whose stack, its frames, and which ELF files were missing."""

    task: str
    frames: Table[UserFrameRow] | None
    remarks: list[str]


def describe(address: Ptr[TaskStruct], given: str) -> UstackReport:
    """Unwind the user stack of a task.

    :param given: path of an ELF file that is its program, "" for none
    :raises Refused: that file cannot be used
    """
    if given:
        try:
            symbol_file(given, is_given=True)
        except BadElf as why:
            raise Refused(
                f"{given} cannot be used: {why}; give the path of a program."
            ) from None
    read, owner = task.task(address), task.with_memory(address)
    found = registers.of_user_mode(address, processors.running_on(address))
    if found is None or owner is None:
        gone = f"{task.ended(address)}: its memory is gone."
        reason = why_none(address) if found is None else gone
        return UstackReport(f"{read.comm}, pid {read.pid}, {reason}", None, [])
    regs, source = found
    where = Places(owner.mm, task.onlooker_root())
    stack_of = UserStack(owner.mm, where, given)
    table = Table(UserFrameRow, "")
    try:
        for number, frame in enumerate(stack_of.unwind(regs)):
            table.rows.append(_user_row(number, frame))
    except Broken as broken:
        table.broken = str(broken)
    remarks = [_no_file(name) for name in sorted(stack_of.modules.unknown)]
    copies = ", ".join(sorted(stack_of.modules.of_guest - {VDSO}))
    if copies:
        remarks.append(f"Read from the guest's own copy: {copies}.")
    return UstackReport(f"{read.comm}, pid {read.pid}: {source}.", table, remarks)


def _user_row(number: int, frame: UserFrame) -> UserFrameRow:
    """The row of a frame."""
    return UserFrameRow(
        frame=number,
        kind=frame.kind,
        symbol=frame.symbol,
        source=frame.source,
        place=frame.place,
        found_by=frame.found_by,
        address=frame.ip,
        stack_pointer=frame.sp,
    )


def _no_file(name: str) -> str:
    return (
        f"No ELF file that is the same as {name} in memory is known: give its path as "
        "in `lab ustack PID FILE`."
    )
