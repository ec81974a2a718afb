# SPDX-License-Identifier: GPL-2.0-only
"""What changed in an address space: areas and boundaries, before and after.

Areas that overlap belong together, and those that overlap through any number
of steps are one change: 1 before and 2 after is a
split, 2 before and 1 after is a merge, if all show the same object: the same file
or anonymous memory, with the same contents at the same addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Literal, NamedTuple

from ..result import Address, Words
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE
from . import maps, mm as mm_, vma
from .structs.fs import File, Path
from .structs.mm_types import MmStruct, VmAreaStruct
from .vmflags import VM_SHARED, permissions

# grown and shrunk: the same area with another start or end; protected: with other
# permissions; flagged: with other flags; rearranged: several became several others,
# such as when a boundary moved; replaced: by another object
Kind = Literal[
    "added", "removed", "grown", "shrunk", "moved", "split", "merged",
    "protected", "flagged", "rearranged", "replaced", "boundary",
]  # fmt: skip


FOLLOWED = (  # boundaries, members of struct mm_struct
    *("start_code", "end_code", "start_data", "end_data", "start_brk", "brk"),
    *("mmap_base", "start_stack", "arg_start", "arg_end", "env_start", "env_end"),
)


class AreaData(NamedTuple):
    """An area for a program."""

    start: Address
    end: Address
    perms: Words
    name: Words


class AreaChange(NamedTuple):
    """Areas that became others, for a program."""

    kind: Words
    before: list[AreaData]
    after: list[AreaData]


class BoundaryChange(NamedTuple):
    """A boundary of the mm that moved, for a program: the kind is boundary."""

    kind: Words
    boundary: Words
    before: Address
    after: Address


class Piece(NamedTuple):
    """What is compared of an area."""

    start: int
    end: int
    flags: int  # vm_flags
    pgoff: int  # pages: in the file, or where anonymous memory started
    file: Ptr[File]  # 0 for anonymous memory
    name: str  # as in /proc/PID/maps
    vma: Ptr[VmAreaStruct]

    @property
    def size(self) -> int:
        """In bytes."""
        return self.end - self.start

    @property
    def perms(self) -> str:
        """As in /proc/PID/maps: rw-p."""
        return permissions(self.flags)

    @property
    def data(self) -> AreaData:
        """For a program."""
        return AreaData(self.start, self.end, self.perms, self.name)

    @property
    def object(self) -> tuple[Ptr[File], int, int]:
        """What it shows, where that would begin, and whether writes go there.

        Equal if contents are the same.
        """
        begins = self.pgoff * PAGE_SIZE - self.start
        return self.file, begins, self.flags & VM_SHARED

    @property
    def identity(self) -> tuple[int, int, int, int, Ptr[File]]:
        """What makes two areas of two moments the same one.

        Not the name: the heap's changes when brk moves across an area.
        """
        return self.start, self.end, self.flags, self.pgoff, self.file

    def overlaps(self, places: tuple[int, int]) -> bool:
        """Has it an address from a start to an end?"""
        return self.start < places[1] and places[0] < self.end


@dataclass(frozen=True)
class Change:
    """Some areas that became others, or a boundary of the mm that moved."""

    kind: Kind
    before: tuple[Piece, ...] = ()
    after: tuple[Piece, ...] = ()
    boundary: str = ""  # the name of the member of struct mm_struct
    old: int = 0  # its values
    new: int = 0

    @property
    def data(self) -> BoundaryChange | AreaChange:
        """For a program."""
        if self.kind == "boundary":
            return BoundaryChange(self.kind, self.boundary, self.old, self.new)
        before = [piece.data for piece in self.before]
        return AreaChange(self.kind, before, [piece.data for piece in self.after])


@dataclass(frozen=True)
class Snapshot:
    """An address space at one moment."""

    mm: Ptr[MmStruct]
    pieces: tuple[Piece, ...]
    boundaries: dict[str, int]


def snapshot(mm: Ptr[MmStruct], root: Ptr[Path]) -> Snapshot:
    """Read all areas and boundaries.

    :param mm: struct mm_struct *
    :param root: struct path * of the root directory from which names are told
    :raises Broken, Fault: a list or tree is damaged, or cannot be read
    """
    read = mm_.mm_struct(mm)
    names: dict[Ptr[File], str] = {}
    pieces = []
    for area in vma.for_each_vma(mm):
        file = area.vm_file
        if file and file not in names:
            names[file] = maps.file_name(file, root)
        pieces.append(
            Piece(
                start=area.vm_start,
                end=area.vm_end,
                flags=area.vm_flags,
                pgoff=area.vm_pgoff,
                file=file,
                name=maps.area_name(area, read, root, names.get(file)),
                vma=area.address,
            )
        )
    return Snapshot(mm, tuple(pieces), {name: getattr(read, name) for name in FOLLOWED})


def changes(
    before: Snapshot, after: Snapshot, anew: tuple[int, int] = (0, 0)
) -> tuple[Change, ...]:
    """What changed in areas and boundaries, by address.

    anew: from where to where nothing is what it was, however alike, since it was
    unmapped and mapped again.
    """
    found = _moved(list(_of_areas(before.pieces, after.pieces, anew)))
    for name, old in before.boundaries.items():
        new = after.boundaries[name]
        if old != new:
            found.append(Change("boundary", boundary=name, old=old, new=new))
    return tuple(found)


def _of_areas(
    before: tuple[Piece, ...], after: tuple[Piece, ...], anew: tuple[int, int]
) -> Iterator[Change]:
    kept = (piece for piece in before if not piece.overlaps(anew))
    same = {piece.identity for piece in kept} & {piece.identity for piece in after}
    old = [piece for piece in before if piece.identity not in same]
    new = [piece for piece in after if piece.identity not in same]
    for group_old, group_new in _groups(old, new):
        kind = _kind(group_old, group_new)
        if group_new and any(piece.overlaps(anew) for piece in group_old):
            kind = "replaced"
        yield Change(kind, tuple(group_old), tuple(group_new))


def _groups(
    old: list[Piece], new: list[Piece]
) -> Iterator[tuple[list[Piece], list[Piece]]]:
    """Areas that share addresses, through any number of steps, by address."""
    marked = [(piece, False) for piece in old] + [(piece, True) for piece in new]
    groups: tuple[list[Piece], list[Piece]] = ([], [])
    end = 0
    for piece, is_new in sorted(marked, key=lambda mark: mark[0].start):
        if piece.start >= end and (groups[0] or groups[1]):
            yield groups
            groups = ([], [])
        groups[is_new].append(piece)
        end = max(end, piece.end)
    if groups[0] or groups[1]:
        yield groups


def _kind(old: list[Piece], new: list[Piece]) -> Kind:
    if not old or not new:
        return "removed" if old else "added"
    if len({piece.object for piece in old + new}) > 1:
        return "replaced"
    if len(old) == 1 and len(new) == 1:
        if (old[0].start, old[0].end) == (new[0].start, new[0].end):
            return "flagged" if old[0].perms == new[0].perms else "protected"
        if old[0].flags != new[0].flags:
            return "rearranged"
        return "grown" if new[0].size > old[0].size else "shrunk"
    if len(old) == 1:
        return "split"
    return "merged" if len(new) == 1 else "rearranged"


def _moved(found: list[Change]) -> list[Change]:
    """A removed and an added area that are the same object: its place changed."""
    added = {new.after[0].vma: new for new in found if new.kind == "added"}
    arrived = []
    result = []
    for change in found:
        there = added.get(change.before[0].vma) if change.kind == "removed" else None
        if there is not None and _is_moved(change.before[0], there.after[0]):
            arrived.append(there)
            change = Change("moved", change.before, there.after)
        result.append(change)
    return [change for change in result if change not in arrived]


def _is_moved(old: Piece, new: Piece) -> bool:
    """Is it the same area? An area freed and one made since can share an address."""
    same = (old.size, old.flags, old.pgoff, old.file)
    return same == (new.size, new.flags, new.pgoff, new.file)
