# SPDX-License-Identifier: GPL-2.0-only
"""Tasks: struct task_struct (include/linux/sched.h)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Iterator

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.debugger import debugger
from . import lists
from .structs.fs import FsStruct, Path
from .structs.lib import ListHead
from .structs.mm_types import MmStruct
from .structs.sched import Pid, TaskStruct, Upid

CPL = 3  # the lowest two bits of cs: 0 in the kernel, 3 in user mode
PF_EXITING, PF_KTHREAD = 0x4, 0x0020_0000  # include/linux/sched.h
DAMAGED = "is damaged"
structs.expect("pcpu_hot", "current_task", "cpu_number", "init_task")


@dataclass(frozen=True)
class Task:
    """What a report says of a task."""

    address: Ptr[TaskStruct]
    pid: int  # the thread's id: gettid(2)
    tgid: int  # the process's id: getpid(2)
    comm: str
    mm: Ptr[MmStruct]  # 0 for a kernel thread
    fs: Ptr[FsStruct]


def register(name: str) -> int:
    """A register of the stopped CPU as an unsigned 64-bit number."""
    return debugger().register(name)


def this_cpu_base() -> int:
    """The per-CPU offset of the stopped CPU."""
    bases = kernel_gs_bases(*map(register, ("cs", "gs_base", "k_gs_base")))
    return next((base for base in bases if base >= 1 << 63), bases[-1])


def kernel_gs_bases(cs: int, gs_base: int, k_gs_base: int) -> tuple[int, ...]:
    """Where a CPU may hold its per-CPU offset, the likelier first.

    In user mode MSR_KERNEL_GS_BASE does. What GS holds there is the program's: where the
    CPU has FSGSBASE, wrgsbase sets it to anything, a kernel address included (since v5.9,
    arch/x86/kernel/cpu/common.c). In kernel mode GS does, except for the few instructions
    between entry and swapgs.
    """
    return (k_gs_base,) if cs & CPL == CPL else (gs_base, k_gs_base)


def per_cpu_place(name: str, symbol: str = "") -> int:
    """The per-CPU offset of a variable that may be a member of pcpu_hot.

    symbol is its name in kernels without pcpu_hot, where that differs.
    current_task, cpu_number, preempt_count and hardirq_stack_ptr moved into
    pcpu_hot in v6.2 (e57ef2ed97c1, 7443b296e699, 64701838bf05, d7b6d709a76a).
    """
    if structs.has_symbol("pcpu_hot"):
        return structs.address_of("pcpu_hot") + structs.offsetof(
            "struct pcpu_hot", name
        )
    return structs.address_of(symbol or name)


def smp_processor_id() -> int:
    """The number of the stopped CPU, as the kernel counts."""
    place = this_cpu_base() + per_cpu_place("cpu_number")
    return kernel.memory().u64(place) & 0xFFFF_FFFF


def get_current() -> Ptr[TaskStruct]:
    """current: the struct task_struct * that runs on the stopped CPU."""
    return Ptr[TaskStruct](
        kernel.memory().u64(this_cpu_base() + per_cpu_place("current_task"))
    )


def task(address: Ptr[TaskStruct]) -> Task:
    """Read one task.

    :param address: struct task_struct *
    :raises Fault: what it takes cannot be read
    """
    read = TaskStruct(kernel.memory(), address)
    return Task(address, read.pid, read.tgid, comm_text(read.comm), read.mm, read.fs)


def comm_text(comm: bytes) -> str:
    """task_struct.comm as text; any process may put any bytes in its own."""
    return text_of(comm.split(b"\0")[0])


def task_pid_vnr(address: Ptr[TaskStruct]) -> int:
    """The thread id as the task itself sees it, in its own pid namespace.

    See kernel/pid.c.

    :param address: struct task_struct *
    :raises Fault: what it takes cannot be read
    """
    guest = kernel.memory()
    pid = TaskStruct(guest, address).thread_pid
    inside = structs.offsetof("struct pid", "numbers")
    inside += Pid(guest, pid).level * structs.sizeof("struct upid")
    return Upid(guest, Ptr[Upid](pid + inside)).nr


def init_task() -> Ptr[TaskStruct]:
    """The struct task_struct * of the first task, swapper/0, whose pid is 0."""
    return Ptr[TaskStruct](structs.address_of("init_task"))


def for_each_process() -> Iterator[Ptr[TaskStruct]]:
    """The thread group leaders, init_task left out, as the kernel links them.

    Yields struct task_struct *. Raises Broken. See include/linux/sched/signal.h.
    """
    head = Ptr[ListHead](init_task() + structs.offsetof("struct task_struct", "tasks"))
    return lists.list_for_each_entry(head, TaskStruct, "tasks")


def for_each_thread(leader: Ptr[TaskStruct]) -> Iterator[Ptr[TaskStruct]]:
    """The threads of a process, its leader among them.

    Yields struct task_struct *.

    :param leader: struct task_struct * of any of them
    :raises Broken: a list or tree is damaged
    """
    signal = TaskStruct(kernel.memory(), leader).signal
    head = Ptr[ListHead](
        signal + structs.offsetof("struct signal_struct", "thread_head")
    )
    return lists.list_for_each_entry(head, TaskStruct, "thread_node")


def for_each_process_thread() -> Iterator[Ptr[TaskStruct]]:
    """All tasks but init_task. Yields struct task_struct *. Raises Broken."""
    for leader in for_each_process():
        yield from for_each_thread(leader)


def find_task_by_pid(pid: int) -> Ptr[TaskStruct] | None:
    """The struct task_struct * of a process or thread, None if there is none.

    0 is init_task. Raises Broken.
    """
    if pid == 0:
        return init_task()
    guest = kernel.memory()
    for address in for_each_process_thread():
        if TaskStruct(guest, address).pid == pid:
            return address
    return None


def has_exited(address: Ptr[TaskStruct]) -> bool:
    """Is a task a zombie or dead?"""
    return TaskStruct(kernel.memory(), address).exit_state != 0


def living_threads(address: Ptr[TaskStruct]) -> list[Ptr[TaskStruct]]:
    """The threads of a task's process that have not ended.

    The first one may end before the others: the process goes on, and is still
    found by its id. Parameter and result: struct task_struct *. Raises Broken.
    """
    return [thread for thread in for_each_thread(address) if not has_exited(thread)]


def with_memory(address: Ptr[TaskStruct]) -> Task | None:
    """A task, or else a thread of its process, that has the process's memory.

    A thread gives it up when it ends; it is gone with the last one. None for a kernel
    thread too.

    :param address: struct task_struct *
    :raises Broken, Fault: a list or tree is damaged, or cannot be read
    """
    found = task(address)
    if found.mm:
        return found
    threads = map(task, for_each_thread(address))
    return next((thread for thread in threads if thread.mm), None)


def why_no_memory(address: Ptr[TaskStruct]) -> str:
    """Why with_memory() is None, as the end of a sentence."""
    flags = TaskStruct(kernel.memory(), address).flags
    return "is a kernel thread" if flags & PF_KTHREAD else ended(address)


def ended(address: Ptr[TaskStruct]) -> str:
    """How far a task has ended, as the end of a sentence."""
    read = TaskStruct(kernel.memory(), address)
    if read.exit_state:
        return "has ended"
    return "is ending" if read.flags & PF_EXITING else DAMAGED


def onlooker_root() -> Ptr[Path]:
    """The root directory that names of files start from: struct path *.

    That of the first process, so that names are those a person in the guest's
    shell sees, also for a process that has another root.
    """
    guest = kernel.memory()
    for first in for_each_process():
        for thread in chain((first,), for_each_thread(first)):
            fs = TaskStruct(guest, thread).fs
            if fs:  # it has not ended
                return root_of(fs)
    return root_of(TaskStruct(guest, init_task()).fs)


def root_of(fs: Ptr[FsStruct]) -> Ptr[Path]:
    """The root directory of a task: &fs->root."""
    return Ptr[Path](fs + structs.offsetof("struct fs_struct", "root"))
