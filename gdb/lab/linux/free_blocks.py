# SPDX-License-Identifier: GPL-2.0-only
"""All free blocks of the buddy allocator at one moment, to compare two moments.

Two sources that do not depend on each other: the marks in struct page say which blocks are
free, the zones' own counters (free_area[].nr_free, as in /proc/buddyinfo) how many. The
heads of the lists say which block is first, and so which is taken next.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from ..arrays import Int64s, np
from ..target import kernel, structs
from ..target.cstruct import Ptr
from . import buddy, mmzone, page
from .mem_map import MemMap
from .structs.mm_types import Page
from .structs.mmzone import Zone

SHIFT = 6  # bits for the order in a key


class Block(NamedTuple):
    """A free block of 2**order page frames."""

    pfn: int  # its first frame
    order: int

    @property
    def pages(self) -> int:
        return 1 << self.order

    def has(self, pfn: int) -> bool:
        """Is a frame in it?"""
        return 0 <= pfn - self.pfn < self.pages


@dataclass(frozen=True)
class ZoneLists:
    """The free lists of a zone: how many blocks each order has, and which is first."""

    nr_free: tuple[int, ...]  # by order
    first: dict[Block, int]  # the first block of each list, and its migrate type

    def types(self, order: int) -> set[int]:
        """The migrate types of which there are free blocks of an order."""
        return {kind for block, kind in self.first.items() if block.order == order}


class FreeBlocks:
    """The free blocks of all zones at one moment."""

    def __init__(self, zones: list[Zone], pages: MemMap) -> None:
        """Read them. Raises memory.Fault.

        :param zones: of which the lists are wanted
        """
        self._keys = _keys(pages)
        self.lists = [_lists(zone) for zone in zones]

    def around(self, pfn: int) -> Block | None:
        """The free block that a frame is in, None if it is in none."""
        after = int(np.searchsorted(self._keys, (pfn + 1) << SHIFT))
        if not after:
            return None
        found = _block(int(self._keys[after - 1]))
        return found if found.has(pfn) else None

    def without(self, other: "FreeBlocks") -> list[Block]:
        """The blocks that are not in another one, by address."""
        found = np.setdiff1d(self._keys, other._keys, assume_unique=True)
        return [_block(int(key)) for key in found]


def _block(key: int) -> Block:
    return Block(key >> SHIFT, key & (1 << SHIFT) - 1)


def _keys(pages: MemMap) -> Int64s:
    """The frame and order of each free block in one number, ascending."""
    kinds = pages.int32("_mapcount").view(np.uint32)
    wanted = np.uint32(page.PAGE_TYPE_BASE | page.PG_BUDDY)
    marked = (kinds & wanted) == np.uint32(page.PAGE_TYPE_BASE)
    first = np.flatnonzero(marked & pages.there)
    orders = pages.word("private")[first]
    sane = orders < buddy.nr_orders()
    found: Int64s = first[sane] << SHIFT | orders[sane].astype(np.int64)
    return found


def _lists(zone: Zone) -> ZoneLists:
    """A zone's free_area[]. Raises memory.Fault."""
    place, array = structs.member("struct zone", "free_area")
    size = structs.sizeof("struct free_area")
    counter = structs.offsetof("struct free_area", "nr_free")
    heads = structs.member("struct free_area", "free_list")[1].count
    start = zone.address + place
    data = kernel.memory().read(start, size * array.count)
    inside = structs.offsetof("struct page", "lru")
    counts, first = [], {}
    for order in range(array.count):
        (count,) = struct.unpack_from("<Q", data, order * size + counter)
        counts.append(count)
        for kind in range(heads):
            offset = order * size + kind * structs.sizeof("struct list_head")
            (link,) = struct.unpack_from("<Q", data, offset)
            if link != start + offset:
                pfn = page.page_to_pfn(Ptr[Page](link - inside))
                first[Block(pfn, order)] = kind
    return ZoneLists(tuple(counts), first)


def zone_with(zones: list[Zone], pfn: int) -> int | None:
    """The index of the zone that spans a frame, None if none does."""
    for number, zone in enumerate(zones):
        if 0 <= pfn - zone.zone_start_pfn < zone.spanned_pages:
            return number
    return None


def first_of_cpu(zone: Zone, cpu: int) -> set[int]:
    """The first frame of each list that a CPU has for a zone. Raises memory.Fault."""
    place = mmzone.per_cpu_pages(zone, cpu)
    place = Ptr(place + structs.offsetof("struct per_cpu_pages", "lists"))
    size = structs.sizeof("struct list_head")
    data = kernel.memory().read(place, size * buddy.nr_pcp_lists())
    inside = structs.offsetof("struct page", "lru")
    found = set()
    for number in range(buddy.nr_pcp_lists()):
        (link,) = struct.unpack_from("<Q", data, number * size)
        if link != place + number * size:
            found.add(page.page_to_pfn(Ptr[Page](link - inside)))
    return found


def buddies(freed: Block, now: Block, before: FreeBlocks) -> list[Block]:
    """The free blocks with which a freed one became a larger one: __free_one_page().

    :param now: the block that it is a part of afterwards
    """
    found, pfn = [], freed.pfn
    for order in range(freed.order, now.order):
        buddy = Block(pfn ^ 1 << order, order)
        if before.around(buddy.pfn) == buddy:
            found.append(buddy)
        pfn &= ~(1 << order)
    return found
