# SPDX-License-Identifier: GPL-2.0-only
"""How a task entered the kernel, told from its stack frames."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from ..target import kernel, structs
from ..target.cstruct import NULL, Ptr
from . import errno as errors, kallsyms, registers
from .processors import Processor
from .stack import Frame
from .structs.sched import TaskStruct
from .structs.x86 import PtRegs
from .task import task

NMI_STACK = "NMI"  # as stack.py calls it
IDLE_PID = 0  # of swapper/0, swapper/1, ...: one for each CPU
# On the way out of a system call: kernel/entry/common.c
RETURNING = ("syscall_exit_", "__syscall_exit_", "exit_to_user_mode", "syscall_return_")
EXCEPTION = "asm_exc_"  # entry points of exceptions; those of interrupts: asm_...


@dataclass(frozen=True)
class Entry:
    """One entry into the kernel, as the stack shows it."""

    what: str  # "system call 61 wait4", "interrupt asm_sysvec_...", "idle", ...
    regs: Ptr[PtRegs]  # of what was left, 0 if there is none
    syscall: int | None = None  # the number of a system call


def entries(task_address: Ptr[TaskStruct], frames: list[Frame]) -> list[Entry]:
    """The entries into the kernel, innermost first.

    The last says what the task does at the bottom of its stack: a system call,
    an exception in user mode, idle, a kernel thread, entry code that has not
    saved the registers yet. Raises memory.Fault.

    :param frames: of the task's stack
    """
    found = []
    for before, frame in zip([None, *frames], frames):
        if frame.kind == "interrupted":
            found.append(Entry(_interruption(before), Ptr(frame.place)))
        elif frame.kind == "user":
            found.append(_from_user(before, frame))
            return found
    if len(frames) == 1 and kallsyms.in_entry_text(frames[0].ip):
        found.append(Entry("entry code", NULL))
    elif task(task_address).pid == IDLE_PID:
        found.append(Entry("idle", NULL))
    else:
        found.append(Entry("kernel thread", NULL))
    return found


def _from_user(before: Frame | None, frame: Frame) -> Entry:
    if not frame.place:
        return Entry("user mode", NULL)
    regs = Ptr[PtRegs](frame.place)
    number = registers.syscall_get_nr(registers.pt_regs(regs))
    if number < 0:
        return Entry(_interruption(before), regs)
    return Entry(syscall_text(number), regs, number)


def result_text(regs: PtRegs, frames: list[Frame]) -> str:
    """What pt_regs->ax says about a system call: its result, once there is one.

    Until the call returns it is -ENOSYS, which entry code put there.

    :param frames: of the task's stack, [] if they are not known
    """
    number, result = registers.syscall_get_nr(regs), errors.to_long(regs.ax)
    known = f"the call's result: {errors.result_text(result)}"
    if result != -errno.ENOSYS or not registers.syscall_name(number):
        return known
    table = structs.address_of("sys_call_table")
    call = kallsyms.symbol_name(kernel.memory().u64(table + 8 * number))
    for frame in frames:
        inside = kallsyms.symbol_name(frame.ip - (frame.kind == "call"))
        if inside == call:
            return "no result yet: ENOSYS stands here until the call returns"
        if inside.startswith(RETURNING):
            return known
    return "no result yet, or ENOSYS: that stands here until the call returns"


def syscall_text(number: int) -> str:
    """A system call for a person: its number, and its name if it has one."""
    return f"system call {number} {registers.syscall_name(number)}".rstrip()


def _interruption(before: Frame | None) -> str:
    """The entry point through which an interrupt or exception came.

    The assembly code that saved the registers called the handler, so its name is
    that of the frame before.
    """
    if before is None or before.kind == "user":
        return "interrupt or exception"
    name = kallsyms.symbol_name(before.ip - (before.kind == "call"))
    if before.kind == "running" or not kallsyms.in_entry_text(before.ip):
        return "interrupt or exception"  # entry code itself, on its way out
    if before.stack == NMI_STACK:
        return f"NMI {name}"
    kind = "exception" if name.startswith(EXCEPTION) else "interrupt"
    return f"{kind} {name}"


def mode(processor: Processor) -> str:
    """user or kernel: the privilege level."""
    return "user" if processor.in_user_mode else "kernel"
