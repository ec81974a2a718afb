# SPDX-License-Identifier: GPL-2.0-only
"""All pages of a range of addresses: mm/pagewalk.c."""

from __future__ import annotations

import struct
from typing import Iterator

from . import kernel
from .memory import PAGE_PRESENT, PAGE_PSE, PAGE_SIZE, PHYSICAL_MASK, Broken, Fault
from .paging import level_name

TABLE = struct.Struct("<512Q")


def walk_page_range(
    pgd: int, start: int, end: int
) -> Iterator[tuple[int, int, int, int]]:
    """The entries for pages of [start, end), empty ones left out.

    Parameters: physical address of the top table, page-aligned addresses.
    Yields virtual address, size, level and value of each entry that maps a page
    or stands for one that is elsewhere (see swapops). Raises Broken, after what
    could be read, where a table lies in no RAM. As walk_page_range() in
    mm/pagewalk.c, a table at a time.
    """
    bits = level_bits()
    inside = (1 << bits) - 1
    above = -1 << bits & (1 << 64) - 1 if start >> 63 else 0
    found = _walk_table(
        pgd, kernel.memory().levels, 0, start & inside, end - 1 & inside
    )
    for address, size, level, value in found:
        yield address | above, size, level, value


def _walk_table(
    table: int, level: int, base: int, first: int, last: int
) -> Iterator[tuple[int, int, int, int]]:
    """One table and those below it, for addresses without their upper bits."""
    shift = 12 + 9 * (level - 1)
    size = 1 << shift
    try:
        buffer, offset = kernel.memory().physical.locate(table, PAGE_SIZE)
    except Fault as fault:
        raise Broken(
            f"the {level_name(level)} table for {base:#x} lies nowhere: {fault}"
        ) from None
    entries = TABLE.unpack_from(buffer, offset)
    low, high = max(first - base, 0) >> shift, min(last - base >> shift, 511)
    for index in range(low, high + 1):
        value = entries[index]
        if not value:
            continue
        address = base + (index << shift)
        if level == 1 or not value & PAGE_PRESENT or level < 4 and value & PAGE_PSE:
            yield address, size, level, value
        else:
            below = value & PHYSICAL_MASK
            yield from _walk_table(below, level - 1, address, first, last)


def level_bits() -> int:
    """How many bits of an address the tables translate: 48 or 57."""
    return 12 + 9 * kernel.memory().levels
