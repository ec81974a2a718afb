# SPDX-License-Identifier: GPL-2.0-only
"""lab trace fork: fork, vfork, clone and clone3, and what the new task gets."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from ...linux import relatives, task
from ...linux.errno import result_text
from ...linux.mm import mmap_lock
from ...linux.mm_usage import space
from ...linux.registers import WRAPPER
from ...linux.structs.sched import KernelCloneArgs, TaskStruct
from ...result import Number, Table, Words
from ...target import kernel
from ...target.cstruct import Ptr
from ..engine import Timeline, Tracer
from ..event import Call, Moment, Point
from . import offspring
from .events import (
    ArgumentsRefused,
    Fails,
    FirstRun,
    NewTaskWithCopy,
    Returns,
    VforkDone,
)
from .offspring import CLONE_THREAD, CLONE_VFORK, CLONE_VM, Request

CLONE3 = "clone3"
EXECUTES = "exec_mm_release"


class ForkRow(NamedTuple):
    """What came of a system call that makes tasks."""

    syscall: Words
    processes: Number
    threads: Number
    failed: Number
    pages_made_read_only: Number


class Fork(Timeline):
    """New tasks."""

    name = "fork"
    follows = "fork, vfork, clone, pthread_create: what is shared, what copied"

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self._requests: dict[int, Request] = {}  # under way, by the caller's task
        self._new: dict[int, tuple[str, str]] = {}  # not run: system call, where it is
        # tasks for which one waits, and that one
        self._vforked: dict[Ptr[TaskStruct], Ptr[TaskStruct]] = {}
        self._failed: set[int] = set()  # tasks whose clone3() was reported already
        self._counts: dict[str, Counter[str]] = {}

    def points(self) -> list[Point]:
        return [
            Point(
                # _do_fork() before v5.10 (cad6967ac108)
                ("kernel_clone", "_do_fork"),
                "that a new task is asked for",
                self._asked,
                self._answered,
            ),
            Point(
                (WRAPPER + CLONE3,),
                "a clone3() whose arguments are refused",
                lambda moment: True,
                self._refused,
                optional=True,
            ),
            # Between them dup_mmap() copies: other threads cannot change areas then
            Point(
                ("down_write_killable",),
                "what there is to copy",
                self._locks,
                self._locked,
                meanwhile=True,
            ),
            Point(
                ("flush_tlb_mm_range",),
                "what became of it",
                self._flushes,
                meanwhile=True,
            ),
            Point(
                ("wake_up_new_task",),
                "what a new task is made of",
                self._made,
            ),
            Point(
                ("schedule_tail",),
                "when a new task runs first",
                self._runs,
                optional=True,
            ),
            *(
                Point(
                    # both mm_release() before v5.5 (4610ba7ad877)
                    (function,),
                    "when the parent of a vfork() goes on",
                    self._releases,
                    optional=True,
                )
                for function in (EXECUTES, "exit_mm_release")
            ),
        ]

    def _count(self, call: str, what: str, by: int = 1) -> None:
        self._counts.setdefault(call, Counter())[what] += by

    def _asked(self, moment: Moment) -> Request:
        call, _ = relatives.system_call(moment.task.address)
        read = KernelCloneArgs(kernel.memory(), moment.argument(0))
        copies = bool(moment.task.mm) and not read.flags & CLONE_VM
        request = Request(call, read, copies)
        self._requests[moment.task.address] = request
        self._stop_meanwhile()
        return request

    def _stop_meanwhile(self) -> None:
        """While somebody is about to copy a memory, or does so."""
        asked = self._requests.values()
        self.tracer.stop_meanwhile(any(request.copies for request in asked))

    def _locks(self, moment: Moment) -> Request | None:
        """The request of current, if the argument is the lock of its address space."""
        request = self._requests.get(moment.task.address)
        lock = mmap_lock(moment.task.mm)
        wanted = request and request.copies and moment.argument(0) == lock
        return request if wanted else None

    def _locked(self, moment: Moment, call: Call) -> None:
        if not moment.int_result:
            call.note.before = space(moment.task.mm)

    def _flushes(self, moment: Moment) -> None:
        """flush_tlb_mm_range() (arch/x86/mm/tlb.c): the last thing before the unlock."""
        request = self._requests.get(moment.task.address)
        if request and request.before and moment.argument(0) == moment.task.mm:
            request.after = space(moment.task.mm)

    def _made(self, moment: Moment) -> None:
        """The child is complete, and has not run."""
        request = self._requests.get(moment.task.address)
        if request is None:
            return  # asked for before the timeline began
        child = task.task(moment.argument(0))
        made = offspring.new_task(moment.task, child, request)
        request.copies = False
        self._stop_meanwhile()
        flags = request.arguments.flags
        is_thread = bool(flags & CLONE_THREAD)
        where = offspring.where(moment.task, flags)
        self._new[child.address] = request.call, where
        if flags & CLONE_VFORK:
            self._vforked[child.address] = moment.task.address
        self._count(request.call, "threads" if is_thread else "processes")
        if isinstance(made, NewTaskWithCopy):
            self._count(request.call, "read-only", made.made_read_only)
        self.tracer.emit(moment, made)

    def _runs(self, moment: Moment) -> None:
        call, where = self._new.pop(moment.task.address, ("", ""))
        if not call:
            return
        what = f"runs for the first time, {where}: here {call}() returns 0"
        self.tracer.emit(moment, FirstRun(what=what, call=call))

    def _answered(self, moment: Moment, call: Call) -> None:
        request: Request = call.note
        self._requests.pop(moment.task.address, None)
        self._stop_meanwhile()
        result = moment.int_result  # pid_t since v5.10 (cad6967ac108), long before
        if result < 0:
            if request.call == CLONE3:
                self._failed.add(moment.task.address)
            self._count(request.call, "failed")
            failure = Fails(
                what=f"{request.call}() fails: {result_text(result)}",
                lines=offspring.asked_for(request.arguments),
                flags=request.arguments.flags,
                call=request.call,
                result=result,
            )
            self.tracer.emit(moment, failure)
            return
        waited = bool(request.arguments.flags & CLONE_VFORK)
        shared = bool(request.arguments.flags & CLONE_VM)
        what = f"{request.call}() returns {result}, the new task's number"
        killed = self._forget_child_of(moment.task.address)
        if killed:  # see wait_for_vfork_done()
            what += ": it is killed while it waits, the child runs on"
            what += " in its memory" * shared
        elif waited and shared:
            what += ": the child has let go of its memory"
        elif waited:
            what += ": the child has executed a program or ended"
        event = Returns(
            what=what, waited=waited and not killed, call=request.call, result=result
        )
        self.tracer.emit(moment, event)

    def _forget_child_of(self, caller: int) -> bool:
        """Forget the children that a task waits for. Returns whether there were any."""
        children = [
            child for child, parent in self._vforked.items() if parent == caller
        ]
        for child in children:
            del self._vforked[child]
        return bool(children)

    def _refused(self, moment: Moment, call: Call) -> None:
        """clone3() looks at its arguments before it asks kernel_clone()."""
        told = moment.task.address in self._failed
        self._failed.discard(moment.task.address)
        if moment.result >= 0 or told:
            return
        self._count(CLONE3, "failed")
        what = f"{CLONE3}() refuses its arguments: {result_text(moment.result)}"
        event = ArgumentsRefused(what=what, call=CLONE3, result=moment.result)
        self.tracer.emit(moment, event)

    def _releases(self, moment: Moment) -> None:
        """mm_release() wakes who waits; the task still has the memory it had."""
        released = Ptr[TaskStruct](moment.argument(0))
        found = relatives.task_struct(released)
        if not found.vfork_done:
            return
        caller = self._vforked.pop(released, found.real_parent)
        why = "it ends"
        if moment.function == EXECUTES:
            shared = moment.task.mm == task.task(caller).mm
            why = "it executes a program"
            if shared:
                why = "it gets memory of its own for its program"
        what = f"lets {relatives.who(caller)} go on: {why}"
        parent = relatives.task_struct(caller).pid
        self.tracer.emit(moment, VforkDone(what=what, parent=parent))

    def summary(self) -> list[Any]:
        rows = [
            ForkRow(
                syscall=call,
                processes=counts["processes"],
                threads=counts["threads"],
                failed=counts["failed"],
                pages_made_read_only=counts["read-only"],
            )
            for call, counts in self._counts.items()
        ]
        return [Table(ForkRow, "New tasks by system call", rows)] if rows else []
