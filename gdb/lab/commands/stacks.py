# SPDX-License-Identifier: GPL-2.0-only
"""lab kstack and lab regs: where a task is in the kernel, and whence it came."""

from __future__ import annotations

import gdb

from .. import entry, processors, registers, stack, symbols, task
from ..memory import Broken
from ..places import Places
from ..result import Result, Table, columns
from ..elffile import BadElf
from ..symfile import symbol_file
from ..userstack import UserFrame, UserStack
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
    if kind == "call" and symbols.in_sched_functions(frame.ip):
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
            return Result([f"{read.comm}, pid {read.pid}, {_why_none(address)}"])
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


def _why_none(address: int) -> str:
    """Why a task has no registers of user mode, as the end of a sentence."""
    if task.has_exited(address):
        return f"has ended: it has no registers any more{goes_on(address)}."
    return "is a kernel thread: it has no registers of user mode."


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
            why = _why_none(address) if found is None else gone
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
