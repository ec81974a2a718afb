# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exit: how threads and processes end, and who is told.

The way of a process: somebody decides (exit_group, a signal), its other threads
are killed, each thread does do_exit(), the last one gives the memory back, orphans
are adopted, a zombie with the wait status stays until the parent has asked for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...linux import relatives, task
from ...linux.mm_usage import mm_users, space
from ...linux.process import for_each_child
from ...linux.structs.sched import TaskStruct
from ...linux.taskflags import exit_text
from ...result import Number, Table, Words
from ...sizes import counted, size_text
from ...target.cstruct import Ptr
from ..engine import Timeline, Tracer
from ..event import Call, Moment, Point, system_calls
from .endings import (
    AUTOREAP,
    ITSELF,
    KERNEL_WAIT,
    LAST_THREAD,
    WAIT_CALLS,
    end_of,
    heir_text,
    ignores_sigchld,
    release_of,
    release_text,
    report_text,
    reported_signal,
    tracer_text,
)
from .events import Adopted, MemoryFreed, Released, Reported, TracerTold, Waits
from .kills import KillPoints
from .waits import Wait, answered, asked


class EndedRow(NamedTuple):
    """A process that has ended."""

    pid: Number
    name: Words
    ended: Words
    reported_to: Words
    released_by: Words


class Exit(Timeline):
    """The `lab trace exit` timeline."""

    name = "exit"
    follows = "exit, exit_group, fatal signals: threads, memory, zombie, wait"

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self._memory: dict[int, int] = {}  # struct mm_struct *: the process it is of
        self._ending: set[int] = set()  # struct task_struct *: in do_exit() already
        self._adopted: set[int] = set()  # orphans that were reported already
        self._releasing: set[int] = set()  # struct task_struct *: in release_task()
        self._parents: dict[int, str] = {}  # to whom a process's end was reported
        self._ended: list[EndedRow] = []

    def points(self) -> list[Point]:
        return [
            *KillPoints(self.tracer).points(),
            Point(("do_exit",), "when a task ends", self._exits),
            Point(
                ("exit_mmap",),
                "when memory is given back",
                self._gives_back,
                everyone=True,
            ),
            Point(
                ("kill_orphaned_pgrp",),
                "who adopts the children",
                self._orphaned,
                optional=True,
                everyone=True,
            ),
            Point(
                ("do_notify_parent",),
                "when a parent is told",
                self._notifies,
                self._notified,
                everyone=True,
            ),
            *system_calls(WAIT_CALLS, self._waits, self._waited),
            Point(
                ("release_task",),
                "when a task is forgotten",
                self._releases,
                lambda moment, call: self._releasing.discard(moment.task.address),
                everyone=True,
            ),
        ]

    def _wants(self, address: Ptr[TaskStruct]) -> bool:
        """Is a task followed?"""
        return self.tracer.follow.wants(task.task(address))

    # --- A task ends -----------------------------------------------------------

    def _exits(self, moment: Moment) -> None:
        """A task is at the beginning of its end."""
        current = moment.task
        self._ending.add(current.address)  # signal->live tells a little later
        others = [
            tid
            for thread, tid in relatives.other_threads(current)
            if thread not in self._ending and not relatives.is_exiting(thread)
        ]
        code = moment.argument(0) & 0xFFFF_FFFF
        children = [  # of all threads of its process
            relatives.task_struct(child).pid
            for child in for_each_child(current.address)
        ]
        users = mm_users(current.mm) if current.mm else 0
        if current.mm and current.mm not in self._memory:
            if users == 1 or relatives.owner_of_memory(current) == current.tgid:
                self._memory[current.mm] = current.tgid
        self.tracer.emit(moment, end_of(current, code, len(others), users, children))

    def _gives_back(self, moment: Moment) -> None:
        mm = moment.argument(0)
        process = self._memory.pop(mm, None)
        if process is None:
            return
        held = space(mm)
        # After exec_mmap() it has another one
        executes = moment.task.tgid == process and moment.task.mm != 0
        whose = f"nobody runs in the memory of process {process} any more: it"
        if executes:
            whose = f"process {process} executes a program: its old memory"
        freed = MemoryFreed(
            what=f"{whose} gives back {counted(len(held.areas), 'area')}, "
            f"{counted(held.pages, 'mapped page')} and {size_text(held.tables)} of page "
            "tables",
            process=process,
            executes=executes,
            mm=mm,
            areas=len(held.areas),
            pages=held.pages,
            page_tables=held.tables,
        )
        self.tracer.emit(moment, freed)

    # --- Children and parents -----------------------------------------------------

    def _orphaned(self, moment: Moment) -> None:
        """Called for each child whose parent, the second argument, has ended."""
        child = moment.argument(0)
        if not moment.argument(1):
            return  # for the process that ends itself
        if child in self._adopted:
            self._adopted.discard(child)
        else:
            self._tell_adopted(moment, child)

    def _tell_adopted(self, moment: Moment, child: Ptr[TaskStruct]) -> None:
        if not (self._wants(child) or self.tracer.follow.wants(moment.task)):
            return
        found = relatives.task_struct(child)
        heir = relatives.task_struct(found.real_parent)
        adopted = Adopted(
            what=f"its child {relatives.who(child)} has a new parent: "
            f"{heir_text(found.real_parent)}",
            child=found.pid,
            parent=heir.tgid,
            thread=heir.pid,
            by_init=relatives.is_init(found.real_parent),
        )
        self.tracer.emit(moment, adopted)

    def _notifies(self, moment: Moment) -> tuple[int, int, str] | None:
        """A process has no thread left and its parent is to know.

        Or a traced task has ended and its tracer is to know.
        """
        ended = moment.argument(0)
        signal = reported_signal(ended, moment.argument(1) & 0xFFFF_FFFF)
        current, why = moment.task, ""
        if not relatives.thread_group_empty(ended):
            self._tell_tracer(moment, ended, signal)
            return None
        if current.address in self._releasing:
            why = "its last other thread is gone: "
        elif current.address != ended:
            why = f"{current.comm} {current.tgid} traces it no more: "
            if relatives.is_exiting(current.address) and ended in for_each_child(
                current.address
            ):  # a zombie already, in reparent_leader()
                self._tell_adopted(moment, ended)
                self._adopted.add(ended)
                why = "the orphan is told of again: "
        return (ended, signal, why) if self._wants(ended) else None

    def _tell_tracer(self, moment: Moment, ended: Ptr[TaskStruct], signal: int) -> None:
        """Of each traced thread, not of the end of a process."""
        if not self._wants(ended):
            return
        found = relatives.task_struct(ended)
        told = TracerTold(
            what=tracer_text(ended, signal),
            task=found.pid,
            process=found.tgid,
            signal=signal,
            tracer=relatives.task_struct(found.parent).tgid,
        )
        self.tracer.emit(moment, told)

    def _notified(self, moment: Moment, call: Call) -> None:
        ended, signal, why = call.note
        found, status = relatives.task_struct(ended), relatives.status_of(ended)
        leaves = bool(moment.result & AUTOREAP)
        if leaves and ignores_sigchld(found.parent):
            signal = 0  # as do_notify_parent() does
        self._parents[ended] = relatives.process_name(found.parent)
        reported = Reported(
            what=report_text(ended, signal, leaves, why),
            process=found.tgid,
            status=status,
            status_text=exit_text(status),
            signal=signal,
            parent=relatives.task_struct(found.parent).tgid,
            zombie=not leaves,
        )
        self.tracer.emit(moment, reported)
        if leaves and moment.task.address in self._releasing:
            # release_task() of its last thread goes on with the leader: no stop there
            self._ending.discard(ended)
            self._tell_released(moment, ended, LAST_THREAD)

    def _waits(self, moment: Moment, call: str) -> Wait:
        wait = asked(moment, call)
        if wait.blocks:
            what = f"{call}(): waits for {wait.whom}"
            self.tracer.emit(moment, Waits(what=what, call=call))
        return wait

    def _waited(self, moment: Moment, call: Call) -> None:
        answer = answered(moment, call.note)
        if answer is not None:
            self.tracer.emit(moment, answer)

    # --- The end ------------------------------------------------------------------

    def _releases(self, moment: Moment) -> bool | None:
        released = moment.argument(0)
        self._ending.discard(released)
        if not self._wants(released):
            return None
        how = release_of(moment.task.address, released)
        self._tell_released(moment, released, how)
        self._releasing.add(moment.task.address)
        return True

    def _tell_released(
        self, moment: Moment, released: Ptr[TaskStruct], how: str
    ) -> None:
        found, status = relatives.task_struct(released), relatives.status_of(released)
        is_process = found.pid == found.tgid
        name = f"process {found.pid}" if is_process else f"thread {found.pid}"
        if is_process:
            parent = self._parents.pop(released, "")
            ended = task.task(released)
            by = how
            if how not in (ITSELF, LAST_THREAD):
                by = relatives.who(moment.task.address)
                by += f" in {how}()" if how in (*WAIT_CALLS, KERNEL_WAIT) else ""
            row = EndedRow(
                pid=ended.pid,
                name=ended.comm,
                ended=exit_text(status),
                reported_to=parent,
                released_by=by,
            )
            self._ended.append(row)
        event = Released(
            what=release_text(name, is_process, how),
            task=found.pid,
            process=found.tgid,
            status=status,
            by=moment.task.pid,
            how=how,
        )
        self.tracer.emit(moment, event)

    def summary(self) -> list[Any]:
        return [Table(EndedRow, "Processes that ended", self._ended)] * bool(
            self._ended
        )
