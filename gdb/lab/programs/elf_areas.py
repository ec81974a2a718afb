# SPDX-License-Identifier: GPL-2.0-only
"""What the segments of a program became: by elf_map() in fs/binfmt_elf.c, by set_brk() in
kernels that still have it, and by what the program has done since."""

from __future__ import annotations

from dataclasses import dataclass

from ..linux.maps import Area
from ..target.elffile import PT_GNU_RELRO, Segment
from .elf import Program, page_down, page_up


@dataclass(frozen=True)
class Piece:
    """An area made from a segment, or a part of a segment that is not mapped."""

    segment: int  # its number among the PT_LOADs
    area: Area | None
    start: int
    end: int
    why: tuple[str, ...]  # why it differs from the segment


def pieces(what: Program, areas: list[Area]) -> list[Piece]:
    """What each PT_LOAD became: its areas, and the parts that are not mapped."""
    relro = what.find(PT_GNU_RELRO)
    fixed = (0, 0)
    if relro is not None:
        start = what.bias + relro.p_vaddr
        fixed = page_down(start), page_down(start + relro.p_memsz)
    found = []
    for number, segment in enumerate(what.loads):
        at = page_down(what.bias + segment.p_vaddr)
        end = page_up(what.bias + segment.p_vaddr + segment.p_memsz)
        for area in areas:
            if area.end <= at or area.start >= end:
                continue
            if area.start > at:
                found.append(_missing(number, at, area.start))
            why = _reasons(what.bias, segment, area, fixed)
            found.append(Piece(number, area, area.start, area.end, tuple(why)))
            at = area.end
        if at < end:
            found.append(_missing(number, at, end))
    return found


def _missing(number: int, start: int, end: int) -> Piece:
    return Piece(number, None, start, end, ("not mapped: not yet, or no more",))


def _reasons(
    bias: int, segment: Segment, area: Area, fixed: tuple[int, int]
) -> list[str]:
    """Why an area differs from what its segment says."""
    start = bias + segment.p_vaddr
    file_end, end = start + segment.p_filesz, start + segment.p_memsz
    why = []
    if area.start < page_down(start):
        why.append("begins with the segment below: adjacent and alike, so merged")
    elif area.start == page_down(start) < start:
        why.append(f"{start - area.start:#x} bytes earlier: whole pages are mapped")
    if not area.inode:
        why.append("bss: zeros, nothing of the file")
    elif area.end >= page_up(file_end) > file_end:
        why.append(
            f"{page_up(file_end) - file_end:#x} bytes more: whole pages are mapped"
        )
        if end > file_end:
            why.append("of its last page the rest is zeroed: bss")
    if area.end > page_up(end):
        why.append(
            f"{area.end - page_up(end):#x} bytes are of what lies behind: merged"
        )
    if area.perms[:3] != segment.perms:
        if fixed[0] <= area.start and area.end <= fixed[1]:
            why.append("read-only once relocated: GNU_RELRO")
        else:
            why.append(f"{segment.perms} in the program: mprotect() since")
    return why
