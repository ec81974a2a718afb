# SPDX-License-Identifier: GPL-2.0-only
"""A request for memory, and how lab trace mmap tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable

from ...linux import uapi_flags
from ...linux.errno import is_error, result_text, to_int
from ...linux.mm_changes import Change, Snapshot, changes
from ...linux.structs.mm_types import MmStruct
from ...programs.callers import Caller
from ...sizes import size_text
from ...target.cstruct import Ptr
from ...target.memory import PAGE_SIZE

MAP_FIXED, MAP_ANONYMOUS = 0x10, 0x20
MAP_FIXED_NOREPLACE = 0x10_0000
MREMAP_FIXED, MREMAP_DONTUNMAP = 2, 4


@dataclass
class Request:
    """One of the calls, between its entry and its return."""

    name: str
    arguments: tuple[int, ...]
    caller: Caller
    mm: Ptr[MmStruct]
    order: int = 0  # of its last change among all changes
    before: Snapshot | None = None  # when it got mmap_lock
    chosen: int | None = None  # by get_unmapped_area()
    seen: list[tuple[Snapshot, Snapshot]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    covered: int = 0  # bytes that were there, where it demands to be

    @property
    def demanded(self) -> tuple[int, int]:
        """Start and end of what is unmapped first, whatever it is; (0, 0) if nothing."""
        start = size = 0
        if self.name == "mmap" and self.arguments[3] & MAP_FIXED:
            start, size = self.arguments[:2]
        if self.name == "mremap" and self.arguments[3] & MREMAP_FIXED:
            size, start = self.arguments[2], self.arguments[4]
        return start, start + -(-size // PAGE_SIZE) * PAGE_SIZE

    def finish(self, result: int) -> None:
        """Find out what it has changed: what it demanded, it got if it went well."""
        start, end = (0, 0) if refused(self, result) else self.demanded
        for before, after in self.seen:
            self.changes += changes(before, after, (start, end))
            overlaps = (
                min(piece.end, end) - max(piece.start, start) for piece in before.pieces
            )
            self.covered += sum(size for size in overlaps if size > 0)


def by_lines(request: Request, threshold: int | None) -> list[str]:
    """Who asked: the program's functions, if its ELF file is known."""
    if not request.caller.names:
        return []
    sentence = f"called by {request.caller.text}"
    why = _why(request, threshold) if request.caller.malloc else ""
    return [f"{sentence}: {why}" if why else sentence]


def _why(request: Request, threshold: int | None) -> str:
    """Why malloc() and its kin asked, "" if that cannot be told."""
    moved = [
        change.new - change.old
        for change in request.changes
        if change.boundary == "brk"
    ]
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


def refused(request: Request, result: int) -> bool:
    """Did the kernel say no? brk() then returns where the heap ends still."""
    if request.name == "brk":
        return request.arguments[0] not in (0, result)
    return is_error(result)


def _failed(result: int) -> str:
    return f": {result_text(result)}" if is_error(result) else ""


def _mmap(request: Request, result: int) -> str:
    address, length, prot, map_flags, descriptor, offset = request.arguments
    what = size_text(length)
    if not map_flags & MAP_ANONYMOUS:
        what += f" of file {to_int(descriptor)} from {offset:#x} on"
    asked = f"mmap of {what}, {uapi_flags.prot_text(prot)}, {uapi_flags.map_text(map_flags)}"
    return f"{asked}{_failed(result) or _placed(request, address, map_flags, result)}"


def _placed(request: Request, address: int, map_flags: int, result: int) -> str:
    if map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE):
        gone = f", in place of {size_text(request.covered)}" * bool(request.covered)
        return f": at {result:x}, as demanded{gone}"
    if not address:
        return f": get_unmapped_area() chose {result:x}"
    wish = f"not at {address:x} as wished"
    if result == address & -PAGE_SIZE:  # round_hint_to_min(), mm/mmap.c
        wish = "as wished" if result == address else f"as wished with {address:x}"
    return f": at {result:x}, {wish}"


def _munmap(request: Request, result: int) -> str:
    address, length = request.arguments[:2]
    return f"munmap of {size_text(length)} at {address:x}{_failed(result)}"


def _mprotect(request: Request, result: int) -> str:
    address, length, prot = request.arguments[:3]
    asked = f"mprotect of {size_text(length)} at {address:x} to {uapi_flags.prot_text(prot)}"
    return f"{asked}{_failed(result)}"


def _brk(request: Request, result: int) -> str:
    """brk() returns where the heap ends, also when it refuses to move it."""
    asked = request.arguments[0]
    if not asked:
        return f"brk(0) only asks: the heap ends at {result:x}"
    if refused(request, result):
        return f"brk to {asked:x} is refused: the heap still ends at {result:x}"
    old = next(
        (change.old for change in request.changes if change.boundary == "brk"), asked
    )
    if old == asked:
        return f"brk to {asked:x}, where the heap ends already"
    way = "up" if asked > old else "down"
    pages = (-(-asked // PAGE_SIZE) - -(-old // PAGE_SIZE)) * PAGE_SIZE
    within = "" if pages else ", within its last page"
    return f"brk to {asked:x}, {size_text(abs(asked - old))} {way}{within}"


def _mremap(request: Request, result: int) -> str:
    address, old, new, mremap_flags, target = request.arguments[:5]
    names = uapi_flags.text(mremap_flags, uapi_flags.MREMAP)
    asked = f"mremap of {size_text(old)} at {address:x} to {size_text(new)}, {names}"
    if mremap_flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        asked += f" at {target:x}"
    if _failed(result):
        return f"{asked}{_failed(result)}"
    where = "where it is" if result == address else f"moved to {result:x}"
    if not old:
        where = f"mapped a second time, at {result:x}"
    gone = f", in place of {size_text(request.covered)}" * bool(request.covered)
    return f"{asked}: {where}{gone}"


ASKED: dict[str, Callable[[Request, int], str]] = {
    "mmap": _mmap,
    "munmap": _munmap,
    "mprotect": _mprotect,
    "brk": _brk,
    "mremap": _mremap,
}
