# SPDX-License-Identifier: GPL-2.0-only
"""lab trace mmap: mmap, munmap, mprotect, brk and mremap, and what becomes of it.

Threads change one address space at the same time, but not while another one holds
mmap_lock for writing. So what a call changed is the difference between the areas
when it got the lock and when it gives it back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Callable

from .. import layout, registers, task
from ..memory import PAGE_SIZE
from ..result import Table, columns
from . import flags
from .arguments import result_text
from .callers import Caller
from .changes import Change, Snapshot, changes, snapshot
from .engine import Timeline, Tracer
from .event import Call, Moment
from .points import Point
from .words import sizes

CALLS = {"mmap": 6, "munmap": 2, "mprotect": 3, "brk": 1, "mremap": 5}  # arguments
TOTALS = columns(call="text", calls="number", errors="number", by_malloc="number")
MAP_FIXED, MAP_ANONYMOUS = 0x10, 0x20
MAP_FIXED_NOREPLACE = 0x10_0000
MREMAP_FIXED = 2


@dataclass
class Request:
    """One of the calls, between its entry and its return."""

    name: str
    arguments: tuple[int, ...]
    caller: Caller
    mm: int  # struct mm_struct *
    order: int = 0  # of its last change among all changes
    before: Snapshot | None = None  # when it got mmap_lock
    chosen: int | None = None  # what get_unmapped_area() said
    changes: list[Change] = field(default_factory=list)
    covers: bool = False  # was something there before?

    def note_before(self, before: Snapshot) -> None:
        """It has the lock, and this is there."""
        self.before = before
        if self.name == "mmap":
            start, end = self.arguments[0], self.arguments[0] + self.arguments[1]
            self.covers = any(
                piece.start < end and start < piece.end for piece in before.pieces
            )


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
        calls = [
            Point(
                (f"__x64_sys_{name}",),
                f"system call {name}",
                lambda moment, name=name: self._enter(moment, name),
                self._leave,
                lambda moment, call: self._open.pop(moment.task.address, None),
            )
            for name in CALLS
        ]
        return calls + [
            Point(
                ("get_unmapped_area",),
                "which address is chosen",
                lambda moment: self._open.get(moment.task.address),
                self._choose,
            ),
            # All of the calls take mmap_lock so: nobody else changes anything then
            Point(
                ("down_write_killable",),
                "what there was before",
                self._holds,
                self._locked,
            ),
            # What is changed is whole when mmap_lock is given back, or only kept
            # for reading, as munmap() may do it.
            Point(("up_write",), "when a change is whole", self._unlock),
            Point(("downgrade_write",), "when munmap() is done", self._unlock),
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
        return request

    def _choose(self, moment: Moment, call: Call) -> None:
        if moment.result > 0:
            call.note.chosen = moment.result

    def _holds(self, moment: Moment) -> Request | None:
        """The request of current, if the argument is the lock of its address space."""
        request = self._open.get(moment.task.address)
        lock = moment.task.mm + layout.offsetof("struct mm_struct", "mmap_lock")
        return request if request and moment.argument(0) == lock else None

    def _locked(self, moment: Moment, call: Call) -> None:
        """down_write_killable() (kernel/locking/rwsem.c): an int, 0 with the lock."""
        if not moment.result & 0xFFFF_FFFF:
            request: Request = call.note
            request.note_before(snapshot(request.mm, task.onlooker_root()))

    def _unlock(self, moment: Moment) -> None:
        """up_write() and downgrade_write() (kernel/locking/rwsem.c)."""
        request = self._holds(moment)
        if request is None or request.before is None:
            return
        after = snapshot(request.mm, task.onlooker_root())
        request.changes += changes(request.before, after)
        request.before = None
        self._order += 1
        request.order = self._order

    def _leave(self, moment: Moment, call: Call) -> None:
        request = self._open.pop(moment.task.address, call.note)
        result = moment.result
        failed = -4096 < result < 0
        malloc = request.caller.malloc
        self.calls[request.name] += 1
        self.errors[request.name] += failed
        self.by_malloc[request.name] += bool(malloc)
        if malloc:
            self.threshold = request.caller.mmap_threshold()
        self.tracer.emit(
            moment,
            ASKED[request.name](request, result, moment),
            tuple(request.changes),
            tuple(_by(request, self.threshold)),
            call=request.name,
            arguments=list(request.arguments),
            result=result,
            chosen=request.chosen,
            order=request.order,
            caller=request.caller.names,
            malloc=malloc,
            mmap_threshold=self.threshold,
        )

    def summary(self) -> list[Any]:
        rows = [
            (name, self.calls[name], self.errors[name], self.by_malloc[name])
            for name in CALLS
            if self.calls[name]
        ]
        parts: list[Any] = [Table("Calls", TOTALS, rows)]
        if self.threshold:
            parts.append(
                "malloc() takes a block of less than mmap_threshold, now "
                f"{self.threshold:,} bytes, from a heap: the first is made larger with "
                "brk(), those of further threads with mmap() and mprotect(). For a "
                "larger block it calls mmap()."
            )
        return parts


def _by(request: Request, threshold: int | None) -> list[str]:
    """Who asked: the program's functions, if its ELF file is known."""
    if not request.caller.names:
        return []
    said = f"called by {request.caller.text}"
    why = _why(request, threshold) if request.caller.malloc else ""
    return [f"{said}: {why}" if why else said]


def _why(request: Request, threshold: int | None) -> str:
    """Why malloc() and its kin asked, "" if that cannot be told."""
    moved = [one.new - one.old for one in request.changes if one.boundary == "brk"]
    if request.name == "brk" and moved and 0 < moved[0] < PAGE_SIZE:
        return "the heap's end is rounded up to a page"
    if request.name == "brk" and moved:
        return "the heap is used up" if moved[0] > 0 else "the top of the heap is free"
    if request.caller.makes_heap:
        return "a heap for this thread, however small the block"
    if request.name == "mprotect":
        return "this thread's heap is used up"
    if request.name == "mmap" and threshold and request.arguments[1] >= threshold:
        return f"at least mmap_threshold, {threshold:,} bytes"
    return ""


def _failed(result: int) -> str:
    return f": {result_text(result, True)}" if -4096 < result < 0 else ""


def _mmap(request: Request, result: int, moment: Moment) -> str:
    address, length, prot, map_flags, descriptor, offset = request.arguments
    what = sizes(length)
    if not map_flags & MAP_ANONYMOUS:
        what += f" of file {_int(descriptor)} from {offset:#x} on"
    asked = f"mmap of {what}, {flags.prot_text(prot)}, {flags.map_text(map_flags)}"
    return f"{asked}{_failed(result) or _placed(request, address, map_flags, result)}"


def _placed(request: Request, address: int, map_flags: int, result: int) -> str:
    if map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE):
        gone = ", in place of what was there" if request.covers else ""
        return f": at {result:x}, as demanded{gone}"
    if not address:
        return f": get_unmapped_area() chose {result:x}"
    wish = "as wished" if address == result else f"not at {address:x} as wished"
    return f": at {result:x}, {wish}"


def _munmap(request: Request, result: int, moment: Moment) -> str:
    address, length = request.arguments[:2]
    return f"munmap of {sizes(length)} at {address:x}{_failed(result)}"


def _mprotect(request: Request, result: int, moment: Moment) -> str:
    address, length, prot = request.arguments[:3]
    asked = f"mprotect of {sizes(length)} at {address:x} to {flags.prot_text(prot)}"
    return f"{asked}{_failed(result)}"


def _brk(request: Request, result: int, moment: Moment) -> str:
    """brk() returns where the heap ends, also when it refuses to move it."""
    asked = request.arguments[0]
    if not asked:
        return f"brk(0) only asks: the heap ends at {result:x}"
    if result != asked:
        return f"brk to {asked:x} is refused: the heap still ends at {result:x}"
    old = next((one.old for one in request.changes if one.boundary == "brk"), asked)
    if old == asked:
        return f"brk to {asked:x}, where the heap ends already"
    way = "up" if asked > old else "down"
    pages = (-(-asked // PAGE_SIZE) - -(-old // PAGE_SIZE)) * PAGE_SIZE
    within = "" if pages else ", within its last page"
    return f"brk to {asked:x}, {sizes(abs(asked - old))} {way}{within}"


def _mremap(request: Request, result: int, moment: Moment) -> str:
    address, old, new, mremap_flags, target = request.arguments[:5]
    names = flags.text(mremap_flags, flags.MREMAP)
    asked = f"mremap of {sizes(old)} at {address:x} to {sizes(new)}, {names}"
    if mremap_flags & MREMAP_FIXED:
        asked += f" at {target:x}"
    if _failed(result):
        return f"{asked}{_failed(result)}"
    where = "where it is" if result == address else f"moved to {result:x}"
    return f"{asked}: {where}"


def _int(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (value >> 31 << 32)


ASKED: dict[str, Callable[[Request, int, Moment], str]] = {
    "mmap": _mmap,
    "munmap": _munmap,
    "mprotect": _mprotect,
    "brk": _brk,
    "mremap": _mremap,
}
