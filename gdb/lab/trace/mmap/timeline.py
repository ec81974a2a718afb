# SPDX-License-Identifier: GPL-2.0-only
"""lab trace mmap: mmap, munmap, mprotect, brk and mremap, and what becomes of it.

Threads change one address space at the same time, but not while another one holds
mmap_lock for writing. So what a call changed is the difference between the areas
when it got the lock and when it gives it back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...linux import registers, task
from ...linux.mm import mmap_lock
from ...linux.mm_changes import snapshot
from ...programs.callers import Caller
from ...result import Address, Number, Size, Table, Words
from ..engine import Timeline, Tracer
from ..event import Call, Event, Moment, Point, system_calls
from .requests import ASKED, Request, by_lines, refused

CALLS = {"mmap": 6, "munmap": 2, "mprotect": 3, "brk": 1, "mremap": 5}  # arguments


@dataclass(frozen=True, kw_only=True)
class MmapEvent(Event, timeline="mmap"):
    """A request for memory that has been answered."""

    call: Words
    arguments: list[int]
    result: Number
    chosen: Address | None  # by get_unmapped_area()
    covered: Size  # what was mapped before where the request demanded to be
    order: Number  # of its last change, among all changes; 0 without one
    caller: list[Words]  # functions of the program, innermost first
    malloc: Words  # the function of the C library that allocates, "" for none
    mmap_threshold: Size | None  # of malloc()


class CallRow(NamedTuple):
    """How often a system call was made, failed, and was malloc()'s."""

    call: Words
    calls: Number
    errors: Number
    by_malloc: Number


class Mmap(Timeline):
    """Requests for memory and the areas they make."""

    name = "mmap"
    follows = (
        "mmap, munmap, mprotect, brk, mremap: requests, and the areas made of them"
    )

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.by_malloc: Counter[str] = Counter()
        self.threshold: int | None = None
        self._open: dict[int, Request] = {}  # by struct task_struct *
        self._order = 0

    def points(self) -> list[Point]:
        calls = system_calls(CALLS, self._enter, self._leave, self._ended)
        # What is changed is whole when mmap_lock is given back, or only kept for
        # reading, as munmap() may do it. All of the calls take it killably.
        inside = [
            ("get_unmapped_area", "which address is chosen", self._asked, self._choose),
            ("down_write_killable", "what there was before", self._holds, self._locked),
            ("up_write", "when a change is whole", self._unlock, None),
            ("downgrade_write", "when munmap() is done", self._unlock, None),
        ]
        return calls + [
            Point((name,), tells, enter, leave, meanwhile=True)
            for name, tells, enter, leave in inside
        ]

    def _enter(self, moment: Moment, name: str) -> Request:
        regs = registers.pt_regs(moment.argument(0))
        request = Request(
            name,
            registers.syscall_get_arguments(regs)[: CALLS[name]],
            Caller(moment.task, regs),
            moment.task.mm,
        )
        self._open[moment.task.address] = request
        self.tracer.stop_meanwhile(True)
        return request

    def _close(self, moment: Moment) -> None:
        """A request is done; the last one under way ends the stops inside."""
        self._open.pop(moment.task.address, None)
        self.tracer.stop_meanwhile(bool(self._open))

    def _ended(self, moment: Moment, call: Call) -> None:
        self._close(moment)

    def _asked(self, moment: Moment) -> Request | None:
        return self._open.get(moment.task.address)

    def _choose(self, moment: Moment, call: Call) -> None:
        if moment.result > 0:
            call.note.chosen = moment.result

    def _holds(self, moment: Moment) -> Request | None:
        """The request of current, if the argument is the lock of its address space."""
        request = self._open.get(moment.task.address)
        lock = mmap_lock(moment.task.mm)
        return request if request and moment.argument(0) == lock else None

    def _locked(self, moment: Moment, call: Call) -> None:
        """down_write_killable() (kernel/locking/rwsem.c): an int, 0 with the lock."""
        if not moment.int_result:
            request: Request = call.note
            request.before = snapshot(request.mm, task.onlooker_root())

    def _unlock(self, moment: Moment) -> None:
        """up_write() and downgrade_write() (kernel/locking/rwsem.c)."""
        request = self._holds(moment)
        if request is None or request.before is None:
            return
        after = snapshot(request.mm, task.onlooker_root())
        request.seen.append((request.before, after))
        request.before = None
        self._order += 1
        request.order = self._order

    def _leave(self, moment: Moment, call: Call) -> None:
        request: Request = call.note
        self._close(moment)
        result = moment.result
        request.finish(result)
        failed = refused(request, result)
        malloc = request.caller.malloc
        self.calls[request.name] += 1
        self.errors[request.name] += failed
        self.by_malloc[request.name] += bool(malloc)
        if malloc:
            self.threshold = request.caller.mmap_threshold()
        event = MmapEvent(
            what=ASKED[request.name](request, result),
            changes=tuple(request.changes),
            lines=tuple(by_lines(request, self.threshold)),
            call=request.name,
            arguments=list(request.arguments),
            result=result,
            chosen=request.chosen,
            covered=request.covered,
            order=request.order,
            caller=request.caller.names,
            malloc=malloc,
            mmap_threshold=self.threshold,
        )
        self.tracer.emit(moment, event)

    def summary(self) -> list[Any]:
        rows = [
            CallRow(name, self.calls[name], self.errors[name], self.by_malloc[name])
            for name in CALLS
            if self.calls[name]
        ]
        parts: list[Any] = [Table(CallRow, "Calls", rows)]
        if self.threshold:
            parts.append(
                "malloc() takes a block of less than mmap_threshold, now "
                f"{self.threshold:,} bytes, from a heap: the first is made larger with "
                "brk(), those of further threads with mmap() and mprotect(). For a "
                "larger block it calls mmap()."
            )
        return parts
