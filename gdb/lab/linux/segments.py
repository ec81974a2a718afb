# SPDX-License-Identifier: GPL-2.0-only
"""Both halves of an address space as runs of one use, gaps included."""

from __future__ import annotations

from typing import NamedTuple

from ..target import kernel
from ..target.cstruct import NULL, Ptr
from ..target.memory import Broken
from . import boundaries, maps, mm as mm_, regions
from .boundaries import Boundary
from .structs.fs import Path
from .structs.mm_types import MmStruct, VmAreaStruct

Marks = dict[Ptr[VmAreaStruct], list[Boundary]]
LAST_2_GIB = 0xFFFF_FFFF_8000_0000
SPECIAL = ("vdso", "vvar", "vvar_vclock", "special", "vsyscall")


class Segment(NamedTuple):
    """A run of addresses."""

    start: int
    end: int
    group: str  # segments of one group are drawn to one scale
    name: str  # "" for a gap
    perms: str
    marks: tuple[tuple[str, int], ...]  # boundaries of the mm in it, low to high

    @property
    def size(self) -> int:
        return self.end - self.start

    @property
    def is_gap(self) -> bool:
        return not self.name


def user_half(mm: Ptr[MmStruct], root: Ptr[Path]) -> tuple[list[Segment], str]:
    """The user's half from low to high, and why it ends early if it does.

    :param mm: struct mm_struct *
    :param root: struct path * of the directory from which names are told
    :raises Fault: what it takes cannot be read
    """
    marks, broken = _marks(mm)
    program = _program(mm, root)
    found: list[Segment] = []
    end = 0
    try:
        for area in maps.for_each_area(mm, root):
            if area.backing == "vsyscall":
                continue  # it is in the kernel's half
            below = found[-1].group if found else ""
            group = _group(area, program, below if area.start == end else "")
            if area.start > end:
                found.append(
                    _gap(end, area.start, group if group == below else "", marks)
                )
            name = area.name or area.backing
            inside = _named(marks.get(Ptr[VmAreaStruct](area.vma), []))
            found.append(Segment(area.start, area.end, group, name, area.perms, inside))
            end = area.end
    except Broken as problem:
        return found, str(problem)
    top = mm_.mm_struct(mm).task_size
    if end < top:
        found.append(_gap(end, top, "", marks))
    return found, broken


def _marks(mm: Ptr[MmStruct]) -> tuple[Marks, str]:
    """The boundaries by the area they lie in; 0 for those that lie in none."""
    marks: Marks = {}
    try:
        for boundary in boundaries.boundaries(mm):
            marks.setdefault(boundary.vma, []).append(boundary)
    except Broken as problem:
        return {}, str(problem)
    return marks, ""


def _named(found: list[Boundary]) -> tuple[tuple[str, int], ...]:
    """Boundaries by name and address."""
    return tuple((boundary.name, boundary.address) for boundary in found)


def _gap(start: int, end: int, group: str, marks: Marks) -> Segment:
    """A gap. A boundary at the end of something lies in what is before it."""
    inside = [
        boundary
        for boundary in marks.get(NULL, [])
        if start <= boundary.address - boundary.is_end < end
    ]
    return Segment(start, end, group, "", "", _named(inside))


def _program(mm: Ptr[MmStruct], root: Ptr[Path]) -> tuple[str, int]:
    """Device and inode of the program: /proc/PID/exe."""
    file = MmStruct(kernel.memory(), mm).exe_file
    if not file:
        return "", 0
    found = maps.file_of(file, root)
    return found.device, found.inode


def _group(area: maps.Area, program: tuple[str, int], before: str) -> str:
    """Which group an area belongs to.

    :param program: device and inode of the program
    :param before: the group of the area that ends where this one starts: memory behind
        the program's data that has no file is its bss
    """
    if area.backing in ("heap", "stack"):
        return area.backing
    if "gd" in area.flags:
        return "stack"
    if area.backing in SPECIAL:
        return "pages of the kernel"
    if (area.dev, area.inode) == program:
        return "program"
    if area.backing == "anonymous" and before == "program":
        return "program"
    return "mapped"


def kernel_half() -> list[Segment]:
    """The kernel's half from low to high."""
    found: list[Segment] = []
    end = regions.WORD - (1 << 11 + 9 * kernel.memory().levels)
    for part in _kernel_parts():
        if part.start > end:
            group = part.group if found and found[-1].group == part.group else ""
            found.append(Segment(end, part.start, group, "", "", ()))
        found.append(part)
        end = part.end
    if end < regions.WORD:
        found.append(Segment(end, regions.WORD, found[-1].group, "", "", ()))
    return found


def _kernel_parts() -> list[Segment]:
    """The regions, with the kernel image taken apart."""
    parts = []
    for region in regions.regions():
        if region.name == "kernel image":
            continue
        group = "modules and fixed" if region.start >= LAST_2_GIB else "kernel"
        parts.append(Segment(region.start, region.end, group, region.name, "", ()))
    for section in regions.sections():
        start, end = section.start, section.end
        name = f"kernel {section.name}"
        parts.append(Segment(start, end, "kernel image", name, "", ()))
    return sorted(parts)
