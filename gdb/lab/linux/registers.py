# SPDX-License-Identifier: GPL-2.0-only
"""The registers a task had in user mode: struct pt_regs (asm/ptrace.h)."""

from __future__ import annotations

from ..target import kernel, structs
from ..target.cstruct import NULL, Ptr
from . import errno, kallsyms
from .processors import MASK, Processor
from .structs.sched import TaskStruct
from .structs.x86 import PtRegs
from .task import CPL

# In the order of the structure; gdb's names beside the kernel's.
GENERAL = {
    **{f"r{i}": f"r{i}" for i in (15, 14, 13, 12)},
    **{"bp": "rbp", "bx": "rbx"},
    **{f"r{i}": f"r{i}" for i in (11, 10, 9, 8)},
    **{"ax": "rax", "cx": "rcx", "dx": "rdx", "si": "rsi", "di": "rdi"},
}
FRAME = {"ip": "rip", "cs": "cs", "flags": "eflags", "sp": "rsp", "ss": "ss"}
NAMES = tuple(member.name for member in PtRegs.declared)
# The arguments of a system call in order: syscall_get_arguments(), asm/syscall.h
ARGUMENTS = ("di", "si", "dx", "r10", "r8", "r9")
NO_SYSCALL = -1  # what entry code leaves in orig_ax for an interrupt or exception

# What the entry in sys_call_table is called differs from the call's name:
# arch/x86/entry/syscalls/syscall_64.tbl
RENAMED = {
    "newstat": "stat",
    "newfstat": "fstat",
    "newlstat": "lstat",
    "newuname": "uname",
    "sendfile64": "sendfile",
    "umount": "umount2",
}
WRAPPER = "__x64_sys_"
structs.expect("sys_call_table")

FLAGS = {  # arch/x86/include/uapi/asm/processor-flags.h
    **{0: "CF", 2: "PF", 4: "AF", 6: "ZF", 7: "SF", 8: "TF", 9: "IF", 10: "DF"},
    **{11: "OF", 14: "NT", 16: "RF", 17: "VM", 18: "AC", 19: "VIF", 20: "VIP"},
    **{21: "ID"},
}


@structs.cached
def thread_size() -> int:
    """THREAD_SIZE: bytes of a kernel stack. That of the first task tells."""
    return structs.variable_size("init_stack")


def task_stack_page(task: Ptr[TaskStruct]) -> Ptr[object]:
    """The lowest address of a task's kernel stack, 0 if it has none any more.

    A task that has ended gives its stack back before its task_struct.

    :param task: struct task_struct *
    :raises Fault: what it takes cannot be read
    """
    read = TaskStruct(kernel.memory(), task)
    return NULL if read.stack_refcount == 0 else read.stack


def task_pt_regs(task: Ptr[TaskStruct]) -> Ptr[PtRegs]:
    """The struct pt_regs * at the top of a task's kernel stack, 0 without a stack.

    Entry code saves the registers of user mode there. See
    arch/x86/include/asm/processor.h.

    :param task: struct task_struct *
    :raises Fault: what it takes cannot be read
    """
    stack = task_stack_page(task)
    if not stack:
        return NULL
    return Ptr[PtRegs](stack + thread_size() - structs.sizeof("struct pt_regs"))


def pt_regs(address: Ptr[PtRegs]) -> PtRegs:
    """Read saved registers. Raises Fault."""
    return PtRegs(kernel.memory(), address)


def user_mode(regs: PtRegs) -> bool:
    """Are these registers of user mode? See arch/x86/include/asm/ptrace.h."""
    return regs.cs & CPL == CPL


def live_regs(processor: Processor) -> PtRegs:
    """What a processor has in its registers now, in no system call."""
    names = (GENERAL | FRAME).items()
    values = {name: processor.registers[gdb_name] for name, gdb_name in names}
    return PtRegs.holding(orig_ax=NO_SYSCALL & MASK, **values)


def of_user_mode(
    task: Ptr[TaskStruct], processor: Processor | None
) -> tuple[PtRegs, str] | None:
    """The registers a task has in user mode, and where they were found.

    None for a kernel thread and for a task that has no stack any more.

    :param processor: the one it runs on, None if it does not run
    :raises Fault: the task or its stack cannot be read
    """
    if processor is not None and processor.in_user_mode:
        return live_regs(processor), f"it runs in user mode on CPU {processor.cpu}"
    place = task_pt_regs(task)
    if not place:
        return None
    regs = pt_regs(place)
    if not user_mode(regs):
        return None
    source = f"saved at {place:#x} when it entered the kernel"
    if processor is not None and kallsyms.in_entry_text(processor.ip):
        source += ", unless entry code is still about to do that"
    return regs, source


def bases(task: Ptr[TaskStruct], processor: Processor | None) -> dict[str, int]:
    """The bases of the segments fs and gs in user mode: thread-local storage.

    Of a task that does not run they are in its thread_struct. Raises memory.Fault.
    """
    if processor is None:
        read = TaskStruct(kernel.memory(), task)
        return {"fs_base": read.thread_fsbase, "gs_base": read.thread_gsbase}
    live = processor.registers
    swapped = not processor.in_user_mode and live["gs_base"] == processor.base
    gs = live["k_gs_base" if swapped else "gs_base"]
    return {"fs_base": live["fs_base"], "gs_base": gs}


def syscall_get_nr(regs: PtRegs) -> int:
    """The number of the system call the task is in, negative if it is in none.

    See arch/x86/include/asm/syscall.h: an int, whatever the upper half holds.
    """
    return errno.to_int(regs.orig_ax)


def syscall_get_arguments(regs: PtRegs) -> tuple[int, ...]:
    """The six registers that carry a system call's arguments."""
    return tuple(getattr(regs, name) for name in ARGUMENTS)


def syscall_name(number: int) -> str:
    """The name of a system call, "" if the kernel has no such call.

    From the names of the functions in sys_call_table. Raises memory.Fault.
    """
    if number < 0 or not structs.has_symbol("sys_call_table"):
        return ""
    table = structs.address_of("sys_call_table")
    if kallsyms.symbol_name(table + 8 * number) != "sys_call_table":
        return ""  # behind its end
    functions = kallsyms.names_at(kernel.memory().u64(table + 8 * number))
    names = [
        function.removeprefix(WRAPPER)
        for function in functions
        if function.startswith(WRAPPER)
    ]
    if not names or "ni_syscall" in names:
        return ""
    return RENAMED.get(names[0], names[0])


def flag_names(flags: int) -> list[str]:
    """The bits of EFLAGS that are set, as the processor's manual names them."""
    names = [name for bit, name in FLAGS.items() if flags >> bit & 1]
    level = flags >> 12 & 3
    return names + ([f"IOPL={level}"] if level else [])
