# SPDX-License-Identifier: GPL-2.0-only
"""Where the page allocator would take a block from now: mm/page_alloc.c.

As the kernel goes about it without waiting: the zones from the highest down, in each the
smallest free block of the wanted migrate type that is large enough, else the largest one
of another type. What reclaim or compaction would free first is not foreseen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import Ptr
from . import buddy, mmzone, page, task
from .structs.lib import ListHead
from .structs.mm_types import Page
from .structs.mmzone import Zone

PAGE_ALLOC_COSTLY_ORDER = 3
UNMOVABLE, MOVABLE, RECLAIMABLE = range(3)  # enum migratetype, of requests
# Who lends its blocks, in this order: fallbacks[]
FALLBACKS = {
    UNMOVABLE: (RECLAIMABLE, MOVABLE),
    MOVABLE: (RECLAIMABLE, UNMOVABLE),
    RECLAIMABLE: (UNMOVABLE, MOVABLE),
}
PAGEBLOCK_ORDER = buddy.HPAGE_PMD_ORDER


@dataclass(frozen=True)
class Taken:
    """The block that a request would get."""

    zone: str
    node: Ptr[object]
    pfn: int
    order: int  # of the free block it comes from
    migratetype: int  # of the list that block is on
    is_of_cpu: bool = False  # from the list of the CPU, not of the buddy allocator
    halves: tuple[tuple[int, int], ...] = ()  # put back: first frame and order


@dataclass
class Refusals:
    """Zones that were passed over, and why."""

    reasons: list[tuple[str, str]] = field(default_factory=list)


def get_page_from_freelist(
    order: int, migratetype: int, refused: Refusals
) -> Taken | None:
    """The block that alloc_pages(GFP_KERNEL, order) would get on this CPU now.

    None if no zone has one at once: then the kernel frees memory first, or fails.

    :param migratetype: UNMOVABLE, as of GFP_KERNEL; MOVABLE, as of user space's memory
    :param refused: gets the zones that are passed over
    :raises Fault: a zone cannot be read
    :raises Broken: a list is damaged
    """
    for zone in reversed(list(mmzone.for_each_populated_zone())):
        name = mmzone.zone_name(zone)
        if "Movable" in name or not zone.managed_pages:
            continue
        own = _of_this_cpu(zone, name, order, migratetype)
        if own is not None:
            return own
        why = _lacks(zone, order)
        found = None if why else _rmqueue(zone, name, order, migratetype)
        if found is not None:
            return found
        refused.reasons.append((name, why or f"no free block of order {order} or more"))
    return None


def _lacks(zone: Zone, order: int) -> str:
    """Why a zone is passed over by its watermark: zone_watermark_fast(). "" if it is not."""
    left = mmzone.nr_free_pages(zone) - ((1 << order) - 1)
    number = structs.enumerators("enum zone_type")["ZONE_NORMAL"]
    kept = mmzone.longs(zone.lowmem_reserve)[number]
    low = mmzone.watermarks(zone)["low"]
    if left > low + kept:
        return ""
    reserve = f", with {kept:,} kept for requests that fit nowhere else" if kept else ""
    return (
        f"it would have {max(left, 0):,} pages left, and its mark `low` is {low:,}"
        f"{reserve}"
    )


def _of_this_cpu(zone: Zone, name: str, order: int, migratetype: int) -> Taken | None:
    """The first block that this CPU keeps for itself: rmqueue_pcplist()."""
    place, array = structs.member("struct per_cpu_pages", "lists")
    size = structs.sizeof("struct list_head")
    types = structs.constant("MIGRATE_PCPTYPES")
    number = _pindex(order, types, array.size // size)
    if number is None:
        return None
    pages = mmzone.per_cpu_pages(zone, task.smp_processor_id())
    head = Ptr[ListHead](pages + place + (number + migratetype) * size)
    first = ListHead(kernel.memory(), head).next
    if first == head:
        return None
    own = Ptr[Page](first - structs.offsetof("struct page", "lru"))
    return Taken(
        name, zone.zone_pgdat, page.page_to_pfn(own), order, migratetype, is_of_cpu=True
    )


def _pindex(order: int, types: int, lists: int) -> int | None:
    """The first of a CPU's lists of an order, None if CPUs keep none: order_to_pindex()."""
    if lists <= types:
        return None if order else 0  # until v5.14 (44042b449872): pages alone
    if order <= PAGE_ALLOC_COSTLY_ORDER:
        return order * types
    if order == PAGEBLOCK_ORDER:
        return None  # since v6.2 (5d0a661d808f) by two lists, movable or not
    return None


def _rmqueue(zone: Zone, name: str, order: int, migratetype: int) -> Taken | None:
    """__rmqueue(): of the wanted type, else of those that lend."""
    areas = mmzone.free_areas(zone)
    for current in range(order, len(areas)):
        pfn = _first(areas[current].address, current, migratetype)
        if pfn is not None:
            return _taken(zone, name, pfn, current, order, migratetype)
    for current in range(len(areas) - 1, order - 1, -1):  # __rmqueue_fallback()
        for other in FALLBACKS[migratetype]:
            pfn = _first(areas[current].address, current, other)
            if pfn is not None:
                return _taken(zone, name, pfn, current, order, other)
    return None


def _first(area: int, order: int, migratetype: int) -> int | None:
    """The first block of a list: get_page_from_free_area()."""
    start = area + structs.offsetof("struct free_area", "free_list")
    head = Ptr[ListHead](start + migratetype * structs.sizeof("struct list_head"))
    first = ListHead(kernel.memory(), head).next
    if first == head:
        return None
    return page.page_to_pfn(Ptr[Page](first - structs.offsetof("struct page", "lru")))


def _taken(
    zone: Zone, name: str, pfn: int, order: int, wanted: int, migratetype: int
) -> Taken:
    halves = tuple(expand(pfn, order, wanted))
    return Taken(name, zone.zone_pgdat, pfn, order, migratetype, halves=halves)


def expand(pfn: int, order: int, wanted: int) -> Iterator[tuple[int, int]]:
    """The halves that are put back when a block is split: first frame and order.

    As expand() in mm/page_alloc.c: the request gets the lowest part.
    """
    for half in range(order - 1, wanted - 1, -1):
        yield pfn + (1 << half), half
