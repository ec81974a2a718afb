# SPDX-License-Identifier: GPL-2.0-only
"""All pages of a range of addresses: mm/pagewalk.c."""

from __future__ import annotations

import struct
from typing import Iterator, NamedTuple

from ..target import kernel
from ..target.memory import (
    PAGE_PRESENT,
    PAGE_PSE,
    PAGE_SIZE,
    PHYSICAL_MASK,
    Broken,
    Fault,
)
from . import pgtable
from .pgtable import level_name

TABLE = struct.Struct("<512Q")


def walk_page_range(
    pgd: int, start: int, end: int
) -> Iterator[tuple[int, int, int, int]]:
    """The entries for pages of [start, end), empty ones left out.

    Yields virtual address, size, level and value of each entry that maps a page
    or stands for one that is elsewhere (see swapops). As walk_page_range() in
    mm/pagewalk.c, a table at a time.

    :param pgd: physical address of the top table
    :param start: page-aligned, as is end
    :raises Broken: after what could be read, if a table is outside RAM or comes again,
        which could go on for ever
    """
    inside = (1 << level_bits()) - 1
    above = ~inside & (1 << 64) - 1 if start >> 63 else 0
    first, last = start & inside, end - 1 & inside
    # Entries still to follow, the lowest address on top: level, address, value
    to_do = [(kernel.memory().levels + 1, 0, pgd | PAGE_PRESENT)]
    seen: dict[int, int] = {}  # tables by physical address, and their levels
    while to_do:
        level, base, value = to_do.pop()
        shift = 12 + 9 * (level - 1)
        if not value & PAGE_PRESENT or level < 4 and value & PAGE_PSE:
            yield base | above, 1 << shift, level, value
            continue
        below, shift, table = level - 1, shift - 9, value & PHYSICAL_MASK
        # Huge pages of one file may share a pmd table: huge_pmd_share(), mm/hugetlb.c
        if table in seen and not seen[table] == below == 2:
            raise Broken(
                f"the {level_name(below)} table for {base:#x} at {table:#x} comes again"
            )
        seen[table] = below
        entries = _read_table(table, below, base)
        low, high = max(first - base, 0) >> shift, min(last - base >> shift, 511)
        found = zip(
            range(base + (low << shift) | above, 1 << 64, 1 << shift),
            entries[low : high + 1],
        )
        if below == 1:
            for address, value in found:
                if value:
                    yield address, PAGE_SIZE, 1, value
        else:
            to_do += reversed([(below, at & inside, it) for at, it in found if it])


def _read_table(table: int, level: int, base: int) -> tuple[int, ...]:
    """All entries of a table, for addresses from base on. Raises Broken."""
    try:
        buffer, offset = kernel.memory().physical.locate(table, PAGE_SIZE)
    except Fault as fault:
        raise Broken(
            f"the {level_name(level)} table for {base:#x} lies nowhere: {fault}"
        ) from None
    return TABLE.unpack_from(buffer, offset)


def level_bits() -> int:
    """How many bits of an address the tables translate: 48 or 57."""
    return 12 + 9 * kernel.memory().levels


class Piece(NamedTuple):
    """Bytes, or the reason there are none, of one page or a part of it."""

    address: int
    size: int
    data: bytes | None
    remark: str  # the reason; for bytes what is worth knowing of the page


def pieces(pgd: int, address: int, size: int) -> Iterator[Piece]:
    """Read [address, address + size).

    Reads what is present and what PROT_NONE only hides; never faults a page in.

    :param pgd: physical address of the top table
    """
    while size:
        step = min(size, PAGE_SIZE - address % PAGE_SIZE)
        yield _piece(pgd, address, step)
        address += step
        size -= step


def _piece(pgd: int, address: int, size: int) -> Piece:
    walk = pgtable.walk(pgd, address)
    if walk.broken:
        return Piece(address, size, None, walk.broken)
    physical, remark = walk.physical, ""
    if physical is None:
        physical, remark = walk.kept, "PROT_NONE: kept, but nobody may touch it"
    if physical is None:
        return Piece(address, size, None, pgtable.explain(walk.last))
    try:
        buffer, offset = kernel.memory().physical.locate(physical, size)
    except Fault as fault:
        return Piece(address, size, None, f"it is mapped, but {fault}")
    return Piece(address, size, bytes(buffer[offset : offset + size]), remark)
