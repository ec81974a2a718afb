# SPDX-License-Identifier: GPL-2.0-only
"""Where the page allocator would take a block from now: mm/page_alloc.c.

As an ordinary task's alloc_pages() goes about it before it frees or moves anything:
get_page_from_freelist() by the mark `low`, then, in __alloc_pages_slowpath(), by `min`.
What reclaim or compaction would free then is not foreseen.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import Ptr
from . import buddy, mmzone, page, task
from .structs.lib import ListHead
from .structs.mm_types import Page
from .structs.mmzone import PerCpuPages, PglistData, Zone, Zoneref

PAGE_ALLOC_COSTLY_ORDER = 3
UNMOVABLE, MOVABLE, RECLAIMABLE = range(3)  # enum migratetype, of requests
# Who lends its blocks, in this order: fallbacks[]
FALLBACKS = {
    UNMOVABLE: (RECLAIMABLE, MOVABLE),
    MOVABLE: (RECLAIMABLE, UNMOVABLE),
    RECLAIMABLE: (UNMOVABLE, MOVABLE),
}
structs.expect("numa_node", "hugetlb_max_hstate")


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
    fills: int = 0  # blocks of its order that the CPU takes for its list with this one
    lends_pageblock: bool = False  # all free blocks beside it get the wanted type, too
    mark: str = "low"


@dataclass
class Refusals:
    """Zones that were passed over, and why."""

    reasons: list[tuple[str, str]] = field(default_factory=list)


def alloc_pages(order: int, migratetype: int, refused: Refusals) -> Taken | None:
    """The block that alloc_pages(GFP_KERNEL, order) would get on this CPU now.

    None if no zone has one at once: then the kernel frees memory first, or fails.

    :param migratetype: UNMOVABLE, as of GFP_KERNEL; MOVABLE, as of user space's memory
    :param refused: gets the zones that are passed over in the end
    :raises Fault: a zone cannot be read
    :raises Broken: a list is damaged
    """
    zones = list(_zonelist())
    flags = [False]
    if zones and _alloc_flags_nofragment(zones[0]):
        flags.insert(0, True)
    for mark, nofragment in [("low", flag) for flag in flags] + [("min", False)]:
        refused.reasons.clear()
        found = get_page_from_freelist(
            zones, order, migratetype, mark, nofragment, refused
        )
        if found is not None:
            return replace(found, mark=mark)
    return None


def get_page_from_freelist(
    zones: list[Zone],
    order: int,
    migratetype: int,
    mark: str,
    nofragment: bool,
    refused: Refusals,
) -> Taken | None:
    """The block from the first zone that may give one: None if there is none.

    :param mark: "low", "min": the watermark
    :param nofragment: ALLOC_NOFRAGMENT: no part of another type's pageblock
    """
    for zone in zones:
        if nofragment and zone.zone_pgdat != zones[0].zone_pgdat:
            return None  # the caller tries without: near memory counts for more
        name = mmzone.zone_name(zone)
        found, why = None, zone_watermark_fast(zone, order, migratetype, mark)
        if not why:
            found = rmqueue(zone, order, migratetype, nofragment)
        if found is not None:
            return found
        refused.reasons.append((name, why or f"no free block of order {order} or more"))
    return None


def _zonelist() -> Iterator[Zone]:
    """The zones for GFP_KERNEL, from the one preferred: node_zonelist(), gfp_zone().

    Raises memory.Fault.
    """
    guest = kernel.memory()
    node = 0
    if structs.has_symbol("numa_node"):  # a CPU's node: numa_mem_id()
        place = task.this_cpu_base() + task.per_cpu_place("numa_node")
        node = guest.u64(place) & 0xFFFF_FFFF
    highest = structs.enumerators("enum zone_type")["ZONE_NORMAL"]
    lists, _ = structs.member("struct pglist_data", "node_zonelists")
    inside, array = structs.member("struct zonelist", "_zonerefs")
    for pgdat in mmzone.for_each_online_pgdat():
        if PglistData(guest, pgdat).node_id != node:
            continue
        for number in range(array.count):
            size = structs.sizeof("struct zoneref")
            ref = Zoneref(guest, Ptr(pgdat + lists + inside + number * size))
            if not ref.zone:
                return
            if ref.zone_idx <= highest:
                yield Zone(guest, ref.zone)


def _alloc_flags_nofragment(preferred: Zone) -> bool:
    """Does the first try leave the pageblocks of other types whole?

    So it is where the zone below is there to be used first: alloc_flags_nofragment().
    """
    types = structs.enumerators("enum zone_type")
    if "ZONE_DMA32" not in types:
        return False
    siblings = list(mmzone.zones(Ptr[PglistData](preferred.zone_pgdat)))
    number = [zone.address for zone in siblings].index(preferred.address)
    if number != types["ZONE_NORMAL"]:
        return False
    nodes = len(list(mmzone.for_each_online_pgdat()))
    return nodes == 1 or bool(siblings[number - 1].present_pages)


def zone_watermark_fast(zone: Zone, order: int, migratetype: int, mark: str) -> str:
    """Why a zone is passed over by its watermark, "" if it is not.

    :param mark: "low", "min"
    """
    types = structs.enumerators("enum zone_type")
    unusable = (1 << order) - 1 + zone.nr_reserved_highatomic
    if zone.cma_pages is not None and migratetype != MOVABLE:
        unusable += mmzone.zone_page_state(zone, "NR_FREE_CMA_PAGES")
    left = mmzone.zone_page_state(zone, "NR_FREE_PAGES") - unusable
    kept = mmzone.longs(zone.lowmem_reserve)[types["ZONE_NORMAL"]]
    pages = mmzone.watermarks(zone)[mark]
    if left > pages + kept:
        if not order or _has_free(zone, order):
            return ""
        return f"no free block of order {order} or more"
    reserve = f", with {kept:,} kept for requests that fit nowhere else" if kept else ""
    return (
        f"it would have {max(left, 0):,} pages left, and its mark `{mark}` is {pages:,}"
        f"{reserve}"
    )


def _has_free(zone: Zone, order: int) -> bool:
    """Is there a block that is large enough? What CPUs keep does not count."""
    types = structs.constant("MIGRATE_PCPTYPES")
    return any(
        area.nr_free and _first(_free_list(area.address, kind)) is not None
        for area in mmzone.free_areas(zone)[order:]
        for kind in range(types)
    )


def rmqueue(
    zone: Zone, order: int, migratetype: int, nofragment: bool = False
) -> Taken | None:
    """The block that a zone gives, None if it has none.

    :param nofragment: ALLOC_NOFRAGMENT: no part of another type's pageblock
    :raises Broken: a list is damaged
    """
    pages = PerCpuPages(
        kernel.memory(), mmzone.per_cpu_pages(zone, task.smp_processor_id())
    )
    pindex = order_to_pindex(migratetype, order)
    if pindex is None:
        return _rmqueue(zone, order, migratetype, nofragment)
    inside, _ = structs.member("struct per_cpu_pages", "lists")
    size = structs.sizeof("struct list_head")
    own = _first(Ptr(pages.address + inside + pindex * size))
    if own is not None:
        return _taken(zone, own, order, order, migratetype, is_of_cpu=True)
    found = _rmqueue(zone, order, migratetype, nofragment)
    return found and replace(found, fills=_batch(pages, order))


def _batch(pages: PerCpuPages, order: int) -> int:
    """How many blocks a CPU takes at once for its empty list: __rmqueue_pcplist()."""
    batch = max(pages.batch, 1)
    return max(batch >> order, 2) if order and batch > 1 else batch


def order_to_pindex(migratetype: int, order: int) -> int | None:
    """The CPU's list for an order and type, None if CPUs keep none of this order.

    Until v5.14 (44042b449872) they kept single pages alone.
    """
    types = structs.constant("MIGRATE_PCPTYPES")
    lists = buddy.nr_pcp_lists()
    low = types * (PAGE_ALLOC_COSTLY_ORDER + 1)
    if order == 0 or (lists > types and order <= PAGE_ALLOC_COSTLY_ORDER):
        return order * types + migratetype
    if lists > low and order == buddy.HPAGE_PMD_ORDER:
        # One list for all types, or one for movable blocks beside the others'
        return low + (lists - low > 1 and migratetype == MOVABLE)
    return None


def _rmqueue(
    zone: Zone, order: int, migratetype: int, nofragment: bool
) -> Taken | None:
    """__rmqueue(): of the wanted type, else of those that lend."""
    areas = mmzone.free_areas(zone)
    for current in range(order, len(areas)):
        pfn = _first(_free_list(areas[current].address, migratetype))
        if pfn is not None:
            return _taken(zone, pfn, current, order, migratetype)
    pageblock = _pageblock_order()
    lowest = max(order, pageblock) if nofragment else order
    for current in range(len(areas) - 1, lowest - 1, -1):  # __rmqueue_fallback()
        for other in FALLBACKS[migratetype]:
            pfn = _first(_free_list(areas[current].address, other))
            if pfn is None:
                continue
            if current >= pageblock:
                return _taken(zone, pfn, current, order, other)
            if migratetype != MOVABLE or current >= pageblock // 2:
                return _steal(zone, pfn, current, order, other)
            return _smallest(zone, order, migratetype)
    return None


def _smallest(zone: Zone, order: int, migratetype: int) -> Taken | None:
    """__rmqueue_fallback(), find_smallest: of a type that lends, for movable memory."""
    for current, area in enumerate(mmzone.free_areas(zone)):
        for other in FALLBACKS[migratetype] if current >= order else ():
            pfn = _first(_free_list(area.address, other))
            if pfn is not None and current >= _pageblock_order() // 2:
                return _steal(zone, pfn, current, order, other)
            if pfn is not None:
                return _taken(zone, pfn, current, order, other)
    return None


def _steal(zone: Zone, pfn: int, current: int, order: int, other: int) -> Taken:
    """The block after all that are free in its pageblock have been given the wanted type.

    That is the smallest of them that is large enough, as until v6.9:
    steal_suitable_fallback(), move_freepages_block().
    """
    pages = 1 << _pageblock_order()
    start = pfn & -pages
    spanned = range(zone.zone_start_pfn, zone.zone_start_pfn + zone.spanned_pages)
    if start + pages - 1 not in spanned:
        return _taken(zone, pfn, current, order, other)
    found: list[tuple[int, int]] = []
    at = start if start in spanned else pfn
    while at < start + pages:
        free = page.buddy_order(at)
        if free is not None and order <= free < _pageblock_order():
            found.append((free, at))
        at += 1 << min(free or 0, _pageblock_order())
    size, first = min(found, default=(current, pfn))
    return replace(_taken(zone, first, size, order, other), lends_pageblock=True)


def _pageblock_order() -> int:
    """pageblock_order: as large as a huge page, or as the largest block without them."""
    if structs.has_symbol("hugetlb_max_hstate"):
        return buddy.HPAGE_PMD_ORDER
    return buddy.nr_orders() - 1


def _free_list(area: int, migratetype: int) -> Ptr[ListHead]:
    """&area->free_list[migratetype].

    :param area: struct free_area *
    """
    start = area + structs.offsetof("struct free_area", "free_list")
    return Ptr[ListHead](start + migratetype * structs.sizeof("struct list_head"))


def _first(head: Ptr[ListHead]) -> int | None:
    """The first block of a list: get_page_from_free_area()."""
    first = ListHead(kernel.memory(), head).next
    if first == head:
        return None
    return page.page_to_pfn(Ptr[Page](first - structs.offsetof("struct page", "lru")))


def _taken(
    zone: Zone,
    pfn: int,
    order: int,
    wanted: int,
    migratetype: int,
    is_of_cpu: bool = False,
) -> Taken:
    return Taken(
        zone=mmzone.zone_name(zone),
        node=zone.zone_pgdat,
        pfn=pfn,
        order=order,
        migratetype=migratetype,
        is_of_cpu=is_of_cpu,
        halves=tuple(expand(pfn, order, wanted)),
    )


def expand(pfn: int, order: int, wanted: int) -> Iterator[tuple[int, int]]:
    """The halves that are put back when a block is split: first frame and order.

    As expand() in mm/page_alloc.c: the request gets the lowest part.
    """
    for half in range(order - 1, wanted - 1, -1):
        yield pfn + (1 << half), half
