# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own count of page faults, beside the faults that were seen.

task_struct.min_flt and .maj_flt count each call of handle_mm_fault() that has
completed, once however often it was retried: mm_account_fault() in mm/memory.c
(since v5.9, bce617edecad). So they count what is no exception, such as
MAP_POPULATE, and do not count a fault that ends with a signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...linux.structs.sched import TaskStruct
from ...linux.task import Task, task
from ...result import Number, Part, Table, Words
from ...target import kernel
from ...target.cstruct import Ptr
from .look import Look


class CountedRow(NamedTuple):
    """A thread's faults, and what the kernel counted."""

    tid: Number
    comm: Words
    faults: Number
    counted: Number
    without_fault: Number
    min_flt: Number
    maj_flt: Number


@dataclass
class Count:
    """Counters of one thread while it keeps its tid."""

    tid: int
    tgid: int
    comm: str
    first: tuple[int, int]  # min_flt and maj_flt when it was first seen
    last: tuple[int, int]
    faults: int = 0
    counted: int = 0  # of them, by the kernel


class Counts:
    """Counters of all threads that were seen."""

    def __init__(self) -> None:
        self._all: list[Count] = []
        self._now: dict[int, Count] = {}  # by struct task_struct *

    def starts(self, address: Ptr[TaskStruct]) -> None:
        """A new task, whose counters begin at 0: struct task_struct *."""
        self._begin(task(address), (0, 0))

    def saw(self, current: Task, before: Look, after: Look, counted: int) -> None:
        """A fault of a task."""
        found = self._of(current)
        if found is None:
            found = self._begin(current, (before.min_flt, before.maj_flt))
        elif found.tid != current.pid:  # an execve() gave it the number of the first
            found = self._begin(current, found.last)
        found.comm = current.comm
        found.last = max(found.last, (after.min_flt, after.maj_flt), key=sum)
        found.faults += 1
        found.counted += counted

    def ends(self, current: Task) -> None:
        """A task ends: what the kernel counted for it until now."""
        found = self._of(current)
        if found is not None:
            read = TaskStruct(kernel.memory(), current.address)
            found.last = read.min_flt, read.maj_flt

    def _of(self, current: Task) -> Count | None:
        """Its count; not that of an earlier task at the same place."""
        found = self._now.get(current.address)
        return found if found is not None and found.tgid == current.tgid else None

    def _begin(self, started: Task, first: tuple[int, int]) -> Count:
        """One more row: two of a number if one task took it over from another."""
        found = Count(started.pid, started.tgid, started.comm, first, first)
        self._now[started.address] = found
        self._all.append(found)
        return found

    def summary(self) -> list[Part]:
        """A row for each thread."""
        rows: list[CountedRow] = []
        for count in sorted(self._all, key=lambda count: count.tid):
            minor, major = (new - old for new, old in zip(count.last, count.first))
            others = minor + major - count.counted
            rows.append(
                CountedRow(
                    count.tid,
                    count.comm,
                    count.faults,
                    count.counted,
                    others,
                    minor,
                    major,
                )
            )
        return [
            Table(
                CountedRow,
                "As the kernel counts from the first fault on: getrusage(RUSAGE_THREAD)",
                rows,
            )
        ]
