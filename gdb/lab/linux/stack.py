# SPDX-License-Identifier: GPL-2.0-only
"""Kernel stacks and their frames (arch/x86/kernel/unwind_frame.c).

The lab's kernels are built with CONFIG_FRAME_POINTER: a function pushes its
caller's rbp below the return address, so the frames are a list. Entry code
marks a pt_regs in this list by the lowest bit: ENCODE_FRAME_POINTER.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator, Literal

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.debugger import Refused, debugger
from ..target.memory import PAGE_SIZE, Broken, Fault
from . import kallsyms, registers
from .processors import Processor, per_cpu_offsets
from .structs.sched import TaskStruct
from .structs.x86 import PtRegs
from .task import per_cpu_place

# running: where a processor is; call: a return address; start: where a new task
# will begin; interrupted: where an interrupt or exception came; user: where user
# mode goes on
Kind = Literal["running", "call", "start", "interrupted", "user"]

FRAME = struct.Struct("<QQ")  # the caller's rbp, the return address
GCC_REALIGN = 8  # see is_last_aligned_frame() in unwind_frame.c
structs.expect("hardirq_stack_ptr", "cea_exception_stacks", "__start_orc_unwind")


@dataclass(frozen=True)
class Stack:
    """A range of addresses that is a stack."""

    name: str  # task, irq, entry, or the exception: NMI, DF, DB, MCE
    start: int
    end: int


@dataclass(frozen=True)
class Frame:
    """One entry of a backtrace."""

    kind: Kind
    ip: int
    stack: str  # the name of the stack it is on, "" if on none
    place: int  # where its frame, or its struct pt_regs, starts

    @property
    def symbol(self) -> str:
        """The kernel's own way to print it."""
        if self.kind == "user":
            return ""
        if self.kind == "call":
            return kallsyms.sprint_backtrace(self.ip)
        return kallsyms.sprint_symbol(self.ip)

    @property
    def source(self) -> kallsyms.Source:
        """The source line, of the call and not of what comes behind it."""
        if self.kind == "user":
            return kallsyms.Source("", 0, "")
        return kallsyms.source_of(self.ip - (self.kind == "call"))


def check_frame_pointers() -> None:
    """Raise Refused for a kernel whose frames are no list."""
    if structs.has_symbol("__start_orc_unwind"):
        raise Refused(
            "This kernel was built without frame pointers: build it with "
            "CONFIG_UNWINDER_FRAME_POINTER=y, as `make kernel` does."
        )


def unwind(task: Ptr[TaskStruct], processor: Processor | None) -> Iterator[Frame]:
    """The frames of a task's kernel stack, innermost first.

    Ends with a frame of kind user if the task came from user mode. Raises Broken after
    what could be read, Refused.

    :param processor: the one it runs on, None if it sleeps
    """
    check_frame_pointers()
    try:
        if processor is None:
            yield from _sleeping(task)
        else:
            yield from _running(task, processor)
    except Fault as fault:
        raise Broken(f"the stack is cut: {fault}") from None


def unwind_at_entry(task: Ptr[TaskStruct], processor: Processor) -> Iterator[Frame]:
    """The callers of a function at whose first instruction its processor stands.

    As unwind() without the function itself, and without the debug info: rbp is the caller's
    still, and the return address is on top of the stack. Raises Broken, Refused.
    """
    check_frame_pointers()
    try:
        page = registers.task_stack_page(task)
        stacks = [_task_stack(page)] if page else []
        stacks += processor_stacks(processor)
        sp, bp = processor.registers["rsp"], processor.registers["rbp"]
        on = _stack_of(sp, 8, stacks)
        if on is None:
            raise Broken(f"the stack pointer {sp:#x} is on no stack of this task")
        ip = kernel.memory().u64(sp)
        if not kallsyms.is_kernel_text(ip):
            raise Broken(f"the return address {ip:#x} at {sp:#x} is no kernel code")
        yield Frame("call", ip, on.name, sp - 8)
        yield from _follow(bp, task, stacks)
    except Fault as fault:
        raise Broken(f"the stack is cut: {fault}") from None


def _sleeping(task: Ptr[TaskStruct]) -> Iterator[Frame]:
    """From the registers that __switch_to_asm() pushed: get_frame_pointer()."""
    pushed = TaskStruct(kernel.memory(), task).thread_sp
    bp = pushed + structs.offsetof("struct inactive_task_frame", "bp")
    stack = registers.task_stack_page(task)
    if stack:
        yield from _follow(bp, task, [_task_stack(stack)])


def _running(task: Ptr[TaskStruct], processor: Processor) -> Iterator[Frame]:
    """From the registers of the processor."""
    if processor.in_user_mode:
        yield Frame("user", processor.ip, "", 0)
        return
    page = registers.task_stack_page(task)
    stacks = [_task_stack(page)] if page else []
    stacks += processor_stacks(processor)
    sp, bp = processor.registers["rsp"], processor.registers["rbp"]
    on = next((stack.name for stack in stacks if stack.start <= sp < stack.end), "")
    yield Frame("running", processor.ip, on, sp)
    if kallsyms.in_entry_text(processor.ip):
        if _encodes_regs(bp, stacks):
            yield from _follow(bp, task, stacks)
        return
    if not on:
        raise Broken(
            f"the stack pointer {sp:#x} is on no stack of this task: the processor "
            "is just switching to or from another task"
        )
    caller = _caller(processor)
    if caller is not None:
        ip, bp, place = caller
        yield Frame("call", ip, on, place)
        if _is_last(place, ip, task):
            yield from _from_user(task)
            return
    yield from _follow(bp, task, stacks)


def _encodes_regs(bp: int, stacks: list[Stack]) -> bool:
    """Has entry code saved all registers: ENCODE_FRAME_POINTER?

    Before, rbp is what user mode left in it, an odd number every now and then.
    """
    size = structs.sizeof("struct pt_regs")
    return bool(bp & 1) and _stack_of(bp & ~1, size, stacks) is not None


def _caller(processor: Processor) -> tuple[int, int, int] | None:
    """The first caller: return address, its rbp, and where the frame starts.

    A processor may stop before a function has pushed rbp, or after it has
    popped it. Only the debug info knows then where the return address is.
    """
    found = debugger().caller(processor.thread)
    if found is None or not kallsyms.is_kernel_text(found.ip):
        return None  # the debug info cannot tell; rbp will
    return found.ip, found.bp, found.sp - FRAME.size


def _follow(bp: int, task: Ptr[TaskStruct], stacks: list[Stack]) -> Iterator[Frame]:
    """unwind_next_frame() from a frame pointer on."""
    guest = kernel.memory()
    stack, end = None, 0
    while True:
        size = structs.sizeof("struct pt_regs") if bp & 1 else FRAME.size
        place = bp & ~1
        on = _stack_of(place, size, stacks)
        if on is None:
            raise Broken(f"the frame pointer {bp:#x} points into no stack of the task")
        if on is not stack and stack is not None:
            stacks = [other for other in stacks if other is not stack]  # never again
        elif place < end:
            raise Broken(f"the frame pointer {bp:#x} goes down, not up")
        stack, end = on, place + size
        if bp & 1:
            regs = registers.pt_regs(Ptr[PtRegs](place))
            if registers.user_mode(regs):
                yield Frame("user", regs.ip, stack.name, place)
                return
            if not regs.ip:  # what a kernel thread starts with: copy_thread()
                return
            yield Frame("interrupted", regs.ip, stack.name, place)
            bp = regs.bp
            continue
        bp, ip = guest.unpack(FRAME, place)
        if not kallsyms.is_kernel_text(ip):
            raise Broken(
                f"the return address {ip:#x} at {place + 8:#x} is no kernel code"
            )
        yield Frame("start" if ip in _forks() else "call", ip, stack.name, place)
        if _is_last(place, ip, task):
            yield from _from_user(task)
            return


@structs.cached
def _forks() -> tuple[int, ...]:
    """Where copy_thread() lets a new task begin; renamed by 3aec4ecb3d1f."""
    names = ("ret_from_fork", "ret_from_fork_asm")
    return tuple(structs.address_of(name) for name in names if structs.has_symbol(name))


def _is_last(place: int, ip: int, task: Ptr[TaskStruct]) -> bool:
    """is_last_task_frame(): does this frame stand right below the pt_regs?"""
    last = registers.task_pt_regs(task) - FRAME.size
    if place == last:
        return True
    return place == last - GCC_REALIGN and kernel.memory().u64(last + 8) == ip


def _from_user(task: Ptr[TaskStruct]) -> Iterator[Frame]:
    """The end of a stack: the registers of user mode, none for a kernel thread.

    Entry code does not mark the pt_regs of a system call.
    """
    place = registers.task_pt_regs(task)
    regs = registers.pt_regs(place)
    if registers.user_mode(regs):
        yield Frame("user", regs.ip, "task", place)


def _stack_of(place: int, size: int, stacks: list[Stack]) -> Stack | None:
    """The stack that holds a whole frame."""
    for stack in stacks:
        if stack.start <= place and place + size <= stack.end:
            return stack
    return None


def _task_stack(start: int) -> Stack:
    return Stack("task", start, start + registers.thread_size())


def processor_stacks(processor: Processor) -> list[Stack]:
    """The stacks a processor has for interrupts, exceptions and entry.

    See arch/x86/kernel/dumpstack_64.c. Raises memory.Fault.
    """
    if processor.cpu is None:
        return []
    guest = kernel.memory()
    offset = per_cpu_offsets()[processor.cpu]
    # hardirq_stack_ptr is the end of the stack; since v5.12 (951c2a51ae75) the
    # highest word below it.
    top = guest.u64(per_cpu_place("hardirq_stack_ptr") + offset) + 8 & -PAGE_SIZE
    stacks = [Stack("irq", top - structs.sizeof("struct irq_stack"), top)]
    area = guest.u64(structs.address_of("cea_exception_stacks") + offset)
    if not area:  # not set up yet
        return stacks
    for name, inside, size in _exception_stacks():
        stacks.append(Stack(name, area + inside, area + inside + size))
    area -= structs.offsetof("struct cpu_entry_area", "estacks")
    entry = area + structs.offsetof("struct cpu_entry_area", "entry_stack_page")
    stacks.append(Stack("entry", entry, entry + structs.sizeof("struct entry_stack")))
    return stacks


@structs.cached
def _exception_stacks() -> tuple[tuple[str, int, int], ...]:
    """Name, offset and size of the stacks in struct cea_exception_stacks."""
    fields = structs.lookup_type("struct cea_exception_stacks").fields
    return tuple(
        (field.name.removesuffix("_stack"), field.offset, field.type.size)
        for field in fields
        if field.name.endswith("_stack")
    )
