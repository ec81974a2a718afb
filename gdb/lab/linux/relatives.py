# SPDX-License-Identifier: GPL-2.0-only
"""How tasks are related, and which system call one is in."""

from __future__ import annotations

from typing import Iterator

from ..target import kernel
from ..target.cstruct import Ptr
from . import registers, task
from .structs.sched import SignalStruct, TaskStruct
from .structs.x86 import PtRegs
from .task import PF_EXITING, PF_KTHREAD, Task

EXEC = ("execve", "execveat")

# group_exec_task was called group_exit_task before v5.17 (60700e38fb68), and was
# that of a thread that dumps core, too
SIGNAL_GROUP_EXIT = 0x4  # include/linux/sched/signal.h
SIGNAL_GROUP_COREDUMP = 0x8  # instead of it while core is dumped; before v5.17
SIGNAL_UNKILLABLE = 0x40


def task_struct(address: Ptr[TaskStruct]) -> TaskStruct:
    """Read one. Raises Fault."""
    return TaskStruct(kernel.memory(), address)


def signal_struct(address: Ptr[TaskStruct]) -> SignalStruct:
    """What the threads of a task's process share of signals and the end.

    :param address: struct task_struct *
    :raises Fault: what it takes cannot be read
    """
    return SignalStruct(kernel.memory(), task_struct(address).signal)


def who(address: Ptr[TaskStruct]) -> str:
    """A task's name and number: sh 41."""
    found = task.task(address)
    return f"{found.comm} {found.pid}"


def process_name(address: Ptr[TaskStruct]) -> str:
    """The name and number of the process a task belongs to: sh 41.

    :param address: struct task_struct * of any of its threads
    """
    return who(task_struct(address).group_leader)


def is_exiting(address: Ptr[TaskStruct]) -> bool:
    """Has a task begun to end?"""
    return bool(task_struct(address).flags & PF_EXITING)


def is_kernel_thread(address: Ptr[TaskStruct]) -> bool:
    """Is this a kernel thread?"""
    return bool(task_struct(address).flags & PF_KTHREAD)


def owner_of_memory(current: Task) -> int:
    """Whose memory it is: the number of the eldest process that runs in it.

    Others got in with CLONE_VM. The parent does not tell who they are: CLONE_PARENT
    makes siblings, and a parent may have ended. Raises memory.Fault, Broken.
    """
    for leader in task.for_each_process():  # a new one is put at the end
        if any(task.task(t).mm == current.mm for t in task.for_each_thread(leader)):
            return task_struct(leader).tgid
    return current.tgid


def is_init(address: Ptr[TaskStruct]) -> bool:
    """Is a task of the first process in its pid namespace?"""
    return bool(signal_struct(address).flags & SIGNAL_UNKILLABLE)


def thread_group_empty(address: Ptr[TaskStruct]) -> bool:
    """Is a task all that is left of its process? Those not released yet count, too.

    See include/linux/sched/signal.h.

    :param address: struct task_struct *
    :raises Broken: a list or tree is damaged
    """
    return all(thread == address for thread in task.for_each_thread(address))


def other_threads(current: Task) -> Iterator[tuple[Ptr[TaskStruct], int]]:
    """The threads of current's process that are alive, without current itself.

    Yields struct task_struct * and thread id. Raises Broken.
    """
    for thread in task.for_each_thread(current.address):
        found = task_struct(thread)
        if thread != current.address and not found.exit_state:
            yield thread, found.pid


def system_call(address: Ptr[TaskStruct]) -> tuple[str, PtRegs]:
    """The system call a task entered the kernel with, "" if with none.

    With its registers in user mode.

    :param address: struct task_struct *, of a task that is in the kernel
    :raises Fault: what it takes cannot be read
    """
    regs = registers.pt_regs(registers.task_pt_regs(address))
    return registers.syscall_name(registers.syscall_get_nr(regs)), regs


def status_of(address: Ptr[TaskStruct]) -> int:
    """The wait status of a process that has ended, as wait_task_zombie() finds it.

    See kernel/exit.c.

    :param address: struct task_struct * of its leader
    """
    shared = signal_struct(address)
    if shared.flags & SIGNAL_GROUP_EXIT:
        return shared.group_exit_code & 0xFFFF_FFFF
    return task_struct(address).exit_code & 0xFFFF_FFFF
