# SPDX-License-Identifier: GPL-2.0-only
"""What ps knows of a task: state, family, credentials (fs/proc/array.c)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Callable, Iterable, Iterator, NamedTuple

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Broken, Fault
from . import lists, task
from .processors import per_cpu_offsets, per_cpu_offsets_are_lost
from .structs.lib import ListHead
from .structs.sched import Cred, Rq, SignalStruct, TaskStruct

TASK_REPORT = 0x7F  # the states get_task_state() tells apart
TASK_UNINTERRUPTIBLE = 0x2
TASK_IDLE = TASK_UNINTERRUPTIBLE | 0x400  # with TASK_NOLOAD
TASK_RTLOCK_WAIT = 0x1000  # v5.15, cd781d0ce8cb: shown as uninterruptible
TASK_FROZEN = 0x8000  # v6.1, f5d39b020809: likewise
STATE_LETTERS = "RSDTtXZP"  # by the highest bit set: task_index_to_char()

# task_struct.state, of 64 bits, became __state, of 32, in v5.14 (2f064a59a11f); cpu
# moved into thread_info in v5.16 (bcf9033e5449).
structs.expect("runqueues")


class Process(NamedTuple):
    """A task as ps shows it."""

    address: Ptr[TaskStruct]
    pid: int
    tgid: int
    ppid: int  # the thread group of the real parent
    uid: int
    euid: int
    state: str  # the letter of /proc/PID/stat
    cpu: int
    threads: int
    comm: str
    is_kernel_thread: bool

    @property
    def name(self) -> str:
        """comm, of a kernel thread in brackets as ps does it."""
        return f"[{self.comm}]" if self.is_kernel_thread else self.comm


def task_state_to_char(state: int, exit_state: int) -> str:
    """The letter of a task's state: task_state_to_char() in sched.h."""
    if state & (TASK_RTLOCK_WAIT | TASK_FROZEN):
        return "D"
    if state & TASK_IDLE == TASK_IDLE:
        return "I"
    return STATE_LETTERS[((state | exit_state) & TASK_REPORT).bit_length()]


def state_of(read: TaskStruct) -> int:
    """What a task does: TASK_RUNNING and so on, under either name of the member."""
    state = read.state if read.state_now is None else read.state_now
    assert state is not None, "task_struct has neither state nor __state"
    return state


def cpu_of(task: TaskStruct) -> int:
    """task_cpu(): where a task runs, or ran last."""
    cpu = task.thread_cpu if task.cpu is None else task.cpu
    assert cpu is not None, "task_struct has no cpu"
    return cpu


def process(address: Ptr[TaskStruct]) -> Process:
    """Read one task. Raises Fault."""
    return reader()(address)


def reader() -> Callable[[Ptr[TaskStruct]], Process]:
    """process() for many tasks: what they share is read once."""
    guest = kernel.memory()
    read_task, read_signal = TaskStruct.reader(guest), SignalStruct.reader(guest)
    read_cred = functools.cache(Cred.reader(guest))
    read_parent = functools.cache(TaskStruct.reader(guest))

    def read(address: Ptr[TaskStruct]) -> Process:
        found = read_task(address)
        cred = read_cred(found.cred)
        return Process(
            address=address,
            pid=found.pid,
            tgid=found.tgid,
            ppid=read_parent(found.real_parent).tgid,
            uid=cred.uid,
            euid=cred.euid,
            state=task_state_to_char(state_of(found), found.exit_state),
            cpu=cpu_of(found),
            threads=read_signal(found.signal).nr_threads,
            comm=task.comm_text(found.comm),
            is_kernel_thread=bool(found.flags & task.PF_KTHREAD),
        )

    return read


def processes() -> Iterator[Process]:
    """All processes in the kernel's order. Raises Broken."""
    return _read(task.for_each_process())


def threads() -> Iterator[Process]:
    """The idle tasks, then all threads, process by process.

    Raises Broken; where only idle tasks are not found, after all the others.
    """
    lost = None
    try:
        yield from _read(idle_tasks())
    except Broken as broken:
        lost = broken
    yield from _read(task.for_each_process_thread())
    if lost is not None:
        raise lost


def idle_tasks() -> Iterator[Ptr[TaskStruct]]:
    """What each CPU runs when it has nothing to do: swapper/N, idle_task(N).

    On no list but their CPU's run queue. Yields struct task_struct *. Raises Broken.
    """
    place = structs.address_of("runqueues")
    for offset in filter(None, per_cpu_offsets()):
        try:
            idle = Rq(kernel.memory(), Ptr[Rq](place + offset)).idle
        except Fault as fault:
            raise Broken(f"a run queue cannot be read: {fault}") from None
        if idle:
            yield idle
    if per_cpu_offsets_are_lost():
        raise Broken(
            "__per_cpu_offset has a zero: a processor's idle task is not found"
        )


def _read(addresses: Iterable[Ptr[TaskStruct]]) -> Iterator[Process]:
    """Raises Broken at the first task that cannot be read."""
    read = reader()
    for address in addresses:
        try:
            yield read(address)
        except Fault as fault:
            raise Broken(f"the task at {address:#x}: {fault}") from None


def for_each_child(address: Ptr[TaskStruct]) -> Iterator[Ptr[TaskStruct]]:
    """The children of a process, those of each of its threads.

    A child hangs on the list of the thread that made it. Yields struct task_struct *.

    :param address: struct task_struct *
    :raises Broken, Fault: a list or tree is damaged, or cannot be read
    """
    inside = structs.offsetof("struct task_struct", "children")
    for thread in task.for_each_thread(address):
        head = Ptr[ListHead](thread + inside)
        yield from lists.list_for_each_entry(head, TaskStruct, "sibling")


@dataclass
class Family:
    """A process and, in the kernel's order, its children."""

    head: Process
    depth: int
    children: list[Family] = field(default_factory=list)
    broken: str = ""  # why not all children are known


def family_of(address: Ptr[TaskStruct]) -> list[Family]:
    """A process and its descendants, each before its children.

    A broken list is followed as far as it goes; its process says so in `broken`.

    :param address: struct task_struct *
    :raises Fault: what it takes cannot be read
    """
    read = reader()
    tree = [Family(read(address), 0)]
    seen = {address}
    waiting = [tree[0]]
    while waiting:
        parent = waiting.pop()
        try:
            for child in for_each_child(parent.head.address):
                if child in seen:
                    raise Broken(f"the task at {child:#x} is in the tree already")
                seen.add(child)
                parent.children.append(Family(read(child), parent.depth + 1))
        except (Broken, Fault) as trouble:
            parent.broken = str(trouble)
        waiting.extend(reversed(parent.children))
        if parent is not tree[0]:
            tree.append(parent)
    return tree


def whole_family() -> list[Family]:
    """All processes, from swapper/0 on, which has no parent but itself."""
    return family_of(task.init_task())
