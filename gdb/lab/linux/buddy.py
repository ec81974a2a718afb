# SPDX-License-Identifier: GPL-2.0-only
"""Which page frames are free: the page allocator's own lists (mm/page_alloc.c).

A free block is in the buddy allocator, where its first page is marked, or on a list of
a CPU, where nothing marks it. What is on neither is in use, whatever its struct page
looks like: the second and later pages of a block that is not compound look as free
ones do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ..target import structs
from ..target.cstruct import Ptr
from ..target.memory import Broken, Fault
from . import lists, mmzone, page
from .processors import possible_cpus
from .structs.lib import ListHead
from .structs.mm_types import Page
from .structs.mmzone import FreeArea

HPAGE_PMD_ORDER = 9  # pageblock_order, with huge pages


@dataclass(frozen=True)
class FreeBlock:
    """A free block of 2**order page frames."""

    first: int  # its first frame
    order: int
    where: str  # whose it is


@structs.cached
def nr_orders() -> int:
    """How many orders blocks have: MAX_ORDER, plus one since v6.4 (23baf831a32c)."""
    return structs.member("struct zone", "free_area")[1].count


@structs.cached
def nr_pcp_lists() -> int:
    """How many lists of free blocks a CPU keeps in a zone: NR_PCP_LISTS."""
    array = structs.member("struct per_cpu_pages", "lists")[1]
    return array.size // structs.sizeof("struct list_head")


def free_block(pfn: int) -> FreeBlock | None:
    """The buddy allocator's block that a frame is in, None if it is in none.

    As is_free_buddy_page().
    """
    for order in range(nr_orders()):
        first = pfn & -(1 << order)
        try:
            found = page.buddy_order(first)
        except Fault:
            continue
        if found is not None and order <= found < nr_orders():
            return FreeBlock(first, found, "in the buddy allocator")
    return None


def free_list(area: FreeArea, order: int, migratetype: int) -> Iterator[Ptr[Page]]:
    """The struct page * of each free block in a list: area->free_list[migratetype].

    Raises Broken where the list is damaged, or has a page that starts no free block of
    this order.
    """
    start = area.address + structs.offsetof("struct free_area", "free_list")
    head = Ptr[ListHead](start + migratetype * structs.sizeof("struct list_head"))
    inside, size = structs.offsetof("struct page", "lru"), structs.sizeof("struct page")
    first = page.vmemmap()
    for link in lists.list_for_each(head):
        own = Ptr[Page](link - inside)
        if own < first or (own - first) % size:
            raise Broken(
                f"the list at {head:#x} has {link:#x}, which is in no struct page"
            )
        found = page.buddy_order(page.page_to_pfn(own))
        if found != order:
            what = "no free block" if found is None else f"a block of order {found}"
            raise Broken(
                f"the list at {head:#x} of blocks of order {order} has frame "
                f"{page.page_to_pfn(own):#x}, which starts {what}"
            )
        yield own


def free_for_cpus() -> dict[int, int]:
    """The free blocks that CPUs keep for themselves: first frames and orders.

    Raises Broken, memory.Fault.
    """
    found: dict[int, int] = {}
    inside = structs.offsetof("struct page", "lru")
    for head, order in _lists():
        for link in lists.list_for_each(head):
            found[page.page_to_pfn(Ptr[Page](link - inside))] = order
    return found


def block_of_cpus(pfn: int, blocks: dict[int, int]) -> FreeBlock | None:
    """The one of free_for_cpus() that a frame is in, None if it is in none."""
    for order in range(nr_orders()):
        first = pfn & -(1 << order)
        if blocks.get(first, -1) >= order:
            return FreeBlock(first, blocks[first], "on a list of a CPU's")
    return None


def _lists() -> Iterator[tuple[Ptr[ListHead], int]]:
    """The lists of all CPUs: struct list_head *, and order: pindex_to_order()."""
    kind = "struct per_cpu_pages"
    place = structs.offsetof(kind, "lists")
    size = structs.sizeof("struct list_head")
    types = structs.constant("MIGRATE_PCPTYPES")
    # Blocks of several orders, and a type of their own, since v5.14 (28f836b6777b,
    # 44042b449872)
    costly = 4  # PAGE_ALLOC_COSTLY_ORDER + 1
    for zone in mmzone.for_each_populated_zone():
        for cpu in possible_cpus():
            pages = mmzone.per_cpu_pages(zone, cpu)
            for number in range(nr_pcp_lists()):
                order = number // types
                head = pages + place + number * size
                yield Ptr(head), order if order < costly else HPAGE_PMD_ORDER


class Lists:
    """The lists of one moment, read when first asked for."""

    def __init__(self) -> None:
        self._of_cpus: dict[int, int] | None = None

    def block(self, pfn: int) -> FreeBlock | None:
        """The free block a frame is in, None if it is in none.

        Raises Broken, memory.Fault where a list is damaged.
        """
        found = free_block(pfn)
        if found is not None:
            return found
        if self._of_cpus is None:
            self._of_cpus = free_for_cpus()
        return block_of_cpus(pfn, self._of_cpus)
