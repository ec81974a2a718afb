# SPDX-License-Identifier: GPL-2.0-only
"""What a page frame is used for, as far as the kernel's data shows.

In a block that is not compound only the first page has a refcount, and nothing
records how large it is. What the data does not show is reported as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..target import kernel
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE, Broken, Fault
from . import buddy, filemap, page
from .page import PAGE_MAPPING_ANON, flag_names
from .structs import mm_types
from .structs.fs import AddressSpace

PAGE_MAPPING_MOVABLE = 2
PAGE_MAPPING_KSM = 3
# What bits mean for anonymous memory: in the swap cache; of one process alone
# (v5.19, 6c287605fd56), a bit that meant nothing before
ANONYMOUS_NAMES = {"owner_priv_1": "swapcache", "mappedtodisk": "anon_exclusive"}
KERNELS = "in use by the kernel"


@dataclass(frozen=True)
class Page:
    """What is cheap to know of a page frame."""

    address: Ptr[mm_types.Page]
    pfn: int
    flags: tuple[str, ...]
    refcount: int
    mapcount: int | None  # how many page tables map it; None if that is no count
    order: int | None  # of the block it is the start or a part of; None if unknown
    head: Ptr[mm_types.Page] | None  # that block's first page, or its own
    kind: str  # what it is used for


def page_of(physical: int) -> Page:
    """The page frame of a physical address.

    Raises memory.Fault where there is no struct page, such as for a device.
    """
    guest = kernel.memory()
    pfn = physical // PAGE_SIZE
    address = page.pfn_to_page(pfn)
    own = mm_types.Page(guest, address)
    first: Ptr[mm_types.Page] | None
    first = start = page.compound_head(address)
    head = mm_types.Page(guest, start)
    is_compound = "head" in flag_names(head.flags)
    order: int | None = page.compound_order(start) if is_compound else 0
    mapcount = None
    if page.is_zero_page(pfn):
        kind = "the zero page: all memory that was only read is this page"
    elif page.buddy_order(pfn) is not None or _has_nothing(own) and not is_compound:
        first, order, kind = _without_count(pfn)
    elif "slab" in flag_names(head.flags):
        kind = "slab: objects of the kernel"
    elif own.mapcount < -1:
        kind = "the kernel's own, such as a page table"
    else:
        mapcount = page.page_mapcount(address)
        kind = _use(head)
        if not head.refcount and is_compound and page.is_huge(start):
            kind = "free, in the pool of huge pages"
        if kind == KERNELS and not is_compound:
            largest = _largest_order(pfn)
            if largest:
                order = None
                kind += (
                    f": a page alone or, as the pages behind it have no count of their "
                    f"own, a block of up to {1 << largest}, of which nothing is written"
                )
    flags = flag_names(own.flags)
    if head.mapping & PAGE_MAPPING_ANON:  # PageAnon(): those of KSM too
        flags = tuple(ANONYMOUS_NAMES.get(name, name) for name in flags)
    return Page(
        address=address,
        pfn=pfn,
        flags=flags,
        refcount=own.refcount,
        mapcount=mapcount,
        order=order,
        head=first,
        kind=kind,
    )


def _has_nothing(read: mm_types.Page) -> bool:
    """Does a struct page look as that of a free page, or as a later one of a block?"""
    is_used = read.refcount or read.mapping or flag_names(read.flags)
    return not is_used and read.mapcount == -1


def _without_count(pfn: int) -> tuple[Ptr[mm_types.Page] | None, int | None, str]:
    """struct page * of the block's first page, its order, and what it is used for."""
    free = buddy.Lists()
    try:
        found = free.block(pfn)
        if found is not None:
            return page.pfn_to_page(found.first), found.order, f"free, {found.where}"
        first = _first_of(pfn, free)
    except (Broken, Fault) as trouble:
        return None, None, f"free or a later page of a block: {trouble}"
    if first is None:
        return None, None, "on no free list, but without a count: just changing hands"
    return (
        page.pfn_to_page(first),
        None,
        f"{KERNELS}: on no free list, a later page of the block that starts with frame "
        f"{first:#x} and is not compound, unless it is just changing hands",
    )


def _is_later(pfn: int, free: buddy.Lists) -> bool:
    """Could a frame be a later one of a block that is not compound?

    Raises Broken, memory.Fault.
    """
    address = page.pfn_to_page(pfn)
    return (
        _has_nothing(mm_types.Page(kernel.memory(), address))
        and page.compound_head(address) == address
        and free.block(pfn) is None
    )


def _first_of(pfn: int, free: buddy.Lists) -> int | None:
    """The frame that starts the block this later page is in, None if none does.

    A block starts at a multiple of its size, with the only page of it that has a
    count. Raises Broken, memory.Fault.
    """
    below = pfn
    for order in range(1, buddy.nr_orders()):
        first = pfn & -(1 << order)
        while below > first:
            below -= 1
            if not _is_later(below, free):
                return below if below == first and _may_start(below) else None
    return None


def _may_start(pfn: int) -> bool:
    """Could a frame be the first one of a block that is not compound?"""
    address = page.pfn_to_page(pfn)
    read = mm_types.Page(kernel.memory(), address)
    kinds = flag_names(read.flags)
    is_plain = not {"head", "slab", "reserved", "lru"} & set(kinds) and not read.mapping
    alone = page.compound_head(address) == address
    return read.refcount > 0 and read.mapcount >= -1 and is_plain and alone


def _largest_order(pfn: int) -> int:
    """How large a block with this first frame can be, if it is not compound.

    All its later pages are without a count. Ends where a list is damaged.
    """
    free, pages = buddy.Lists(), 1
    try:
        for order in range(1, buddy.nr_orders()):
            if pfn % (1 << order):
                return order - 1
            while pages < 1 << order:
                if not _is_later(pfn + pages, free):
                    return order - 1
                pages += 1
    except (Broken, Fault):
        return pages.bit_length() - 1
    return buddy.nr_orders() - 1


def _use(head: mm_types.Page) -> str:
    """What a page is used for that could be mapped by user space."""
    kind = head.mapping & 3
    if "reserved" in flag_names(head.flags):
        return "reserved: no page of the allocator's"
    if kind == PAGE_MAPPING_KSM:
        return "anonymous memory, shared by KSM"
    if kind == PAGE_MAPPING_ANON:
        return "anonymous memory"
    if kind == PAGE_MAPPING_MOVABLE:
        return "a driver's page that can be moved"
    if not head.refcount:
        return "without a count: just changing hands"
    if head.mapping:
        return f"page cache: {filemap.mapping_name(Ptr[AddressSpace](head.mapping))}"
    return KERNELS
