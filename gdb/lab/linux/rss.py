# SPDX-License-Identifier: GPL-2.0-only
"""Counters of resident memory: mm->rss_stat (include/linux/mm_types_task.h)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from ..target import kernel, structs
from ..target.cstruct import Ptr
from . import percpu, task
from .structs.lib import PercpuCounter
from .structs.mm_types import MmStruct
from .structs.sched import TaskStruct

# Until v6.1 a task counts on its own and adds to the mm every 64 page faults
# (SPLIT_RSS_COUNTING); since v6.2 a CPU does (f1a7941243c1), in percpu_counters.
KINDS = {
    "file": "MM_FILEPAGES",
    "anon": "MM_ANONPAGES",
    "shmem": "MM_SHMEMPAGES",
    "swap": "MM_SWAPENTS",
}


class Counter(NamedTuple):
    """One kind of pages."""

    kind: str  # file, anon, shmem, swap
    counted: int  # as /proc/PID/status shows it, which has 0 for a negative one
    pending: int  # counted by tasks or CPUs, but not yet added

    @property
    def pages(self) -> int:
        return self.counted + self.pending


def rss_stat(mm: Ptr[MmStruct], tasks: list[Ptr[TaskStruct]]) -> list[Counter]:
    """How many pages of each kind an address space has.

    :param mm: struct mm_struct *
    :param tasks: struct task_struct * of all who use it
    :raises Fault: what it takes cannot be read
    """
    if structs.has_member("struct mm_struct", "rss_stat.count"):
        counts = [_of_tasks(mm, tasks, index) for index in _indices()]
    else:
        counts = [_of_cpus(mm, index) for index in _indices()]
    return [
        Counter(kind=kind, counted=counted, pending=pending)
        for kind, (counted, pending) in zip(KINDS, counts)
    ]


def _indices() -> list[int]:
    return [structs.constant(name) for name in KINDS.values()]


def _of_tasks(
    mm: Ptr[MmStruct], tasks: list[Ptr[TaskStruct]], index: int
) -> tuple[int, int]:
    """get_mm_counter(), and what the tasks have not added yet."""
    guest = kernel.memory()
    counted = _signed(MmStruct(guest, mm).rss_stat, "q", index)
    if not structs.has_member("struct task_struct", "rss_stat"):
        return counted, 0
    at = structs.offsetof("struct task_rss_stat", "count")
    pending = 0
    for user in tasks:
        rss_stat = TaskStruct(guest, user).rss_stat
        assert rss_stat is not None
        pending += _signed(rss_stat[at:], "i", index)
    return counted, pending


def _of_cpus(mm: Ptr[MmStruct], index: int) -> tuple[int, int]:
    """percpu_counter_read(), and what the CPUs have not added yet."""
    counter = mm + structs.offsetof("struct mm_struct", "rss_stat")
    counter += index * structs.sizeof("struct percpu_counter")
    return percpu.percpu_counter_read(Ptr[PercpuCounter](counter))


def _signed(data: bytes, code: str, index: int) -> int:
    form = struct.Struct(f"<{code}")
    value: int = form.unpack_from(data, index * form.size)[0]
    return value


def users(mm: Ptr[MmStruct]) -> tuple[list[Ptr[TaskStruct]], list[Ptr[TaskStruct]]]:
    """Who uses an address space: the tasks it belongs to, and those who borrow it.

    A kernel thread keeps the tables of the process before it (active_mm) and thereby
    saves a switch.

    :param mm: struct mm_struct *
    :raises Broken: a list or tree is damaged
    """
    guest = kernel.memory()
    owners, borrowers = [], []
    for thread in task.for_each_process_thread():
        read = TaskStruct(guest, thread)
        if read.mm == mm:
            owners.append(thread)
        elif read.active_mm == mm and not read.mm:
            borrowers.append(thread)
    return owners, borrowers
