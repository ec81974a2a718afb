# SPDX-License-Identifier: GPL-2.0-only
"""Page frames: struct page (include/linux/mm_types.h, page-flags.h)."""

from __future__ import annotations

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE, START_KERNEL_MAP, Fault
from .structs.mm_types import Folio, Page, TailPage

PAGE_MAPPING_ANON = 1
# page_type is stored where the mapcount is, and then a bit that is clear tells
PAGE_TYPE_BASE = 0xF000_0000
PG_BUDDY = 0x80  # since v4.18 (6e292b9be7f4); vmcoreinfo exports it


HUGE_PAGES = 512  # HPAGE_PMD_NR


def vmemmap() -> Ptr[Page]:
    """Address of the array of all struct page: pfn_to_page(0).

    Raises Fault for a kernel that has no such array (neither sparse vmemmap nor
    flat memory).
    """
    if structs.has_symbol("vmemmap_base"):
        return Ptr[Page](kernel.memory().u64(structs.address_of("vmemmap_base")))
    if structs.has_symbol("mem_map"):
        return Ptr[Page](kernel.memory().u64(structs.address_of("mem_map")))
    if kernel.memory().levels == 4 and not structs.has_symbol("page_offset_base"):
        return Ptr[Page](0xFFFF_EA00_0000_0000)  # __VMEMMAP_BASE_L4
    raise Fault(0, "this kernel's memory model has no array of struct page")


def pfn_to_page(pfn: int) -> Ptr[Page]:
    """The struct page * of a page frame."""
    return Ptr[Page](vmemmap() + pfn * structs.sizeof("struct page"))


def page_to_pfn(page: Ptr[Page]) -> int:
    """The number of a page frame."""
    return (page - vmemmap()) // structs.sizeof("struct page")


@structs.cached
def page_flags() -> tuple[tuple[int, str], ...]:
    """Bits and names of enum pageflags; one name for a bit with several.

    Their numbers depend on the kernel's options, and come from its debug info.
    """
    names: dict[int, str] = {}
    numbers = structs.enumerators("enum pageflags")
    for name, bit in numbers.items():
        if bit < numbers["__NR_PAGEFLAGS"]:
            names.setdefault(bit, name.removeprefix("PG_"))
    return tuple(sorted(names.items()))


def is_zero_page(pfn: int) -> bool:
    """Is it what anonymous memory shows until it is written: is_zero_pfn(), or a
    part of the large page of zeros, is_huge_zero_page()?"""
    zero = structs.address_of("empty_zero_page") - START_KERNEL_MAP
    if pfn == zero + kernel.memory().phys_base >> 12:
        return True
    if not structs.has_symbol("huge_zero_page"):
        return False
    huge = kernel.memory().u64(structs.address_of("huge_zero_page"))
    return bool(huge) and 0 <= pfn - page_to_pfn(Ptr[Page](huge)) < HUGE_PAGES


def flag_names(flags: int) -> tuple[str, ...]:
    """The names of the bits in page->flags, lowest first."""
    return tuple(name for bit, name in page_flags() if flags >> bit & 1)


def compound_head(page: Ptr[Page]) -> Ptr[Page]:
    """The first page of a compound one, or the page itself: struct page *.

    Of a huge page whose struct pages were given back (hugetlb_optimize_vmemmap, since
    v5.14) the later ones are the first ones mapped again, PG_head and all:
    page_fixed_fake_head() in include/linux/page-flags.h.
    """
    guest = kernel.memory()
    read = TailPage(guest, Ptr[TailPage](page))
    if read.compound_head & 1:
        return Ptr[Page](read.compound_head - 1)
    if not page % PAGE_SIZE and "head" in flag_names(read.flags):
        following = _second_page(page).compound_head
        return Ptr[Page](following - 1) if following & 1 else page
    return page


def _second_page(head: Ptr[Page]) -> TailPage:
    """The second page of a compound one, which says what holds for all of it."""
    address = Ptr[TailPage](head + structs.sizeof("struct page"))
    return TailPage(kernel.memory(), address)


def compound_order(head: Ptr[Page]) -> int:
    """A compound page has 2**order pages."""
    second = _second_page(head)
    if second.compound_order is not None:
        return second.compound_order
    order = Folio(kernel.memory(), Ptr[Folio](head)).order
    assert order is not None
    return order


def compound_mapcount(head: Ptr[Page]) -> int:
    """How often a compound page is mapped as a whole: struct page * of the first."""
    second = _second_page(head)
    if second.compound_mapcount is not None:
        return second.compound_mapcount + 1
    mapcount = Folio(kernel.memory(), Ptr[Folio](head)).entire_mapcount
    assert mapcount is not None
    return mapcount + 1


def page_mapcount(page: Ptr[Page]) -> int:
    """How many page-table entries map a page, those of huge pages among them.

    Before v6.2 (cb67f4282bf9) the pages of a huge one had the mappings of the whole
    counted in: those of a file's always, anonymous ones once, while PG_double_map said
    so. See __page_mapcount() in mm/util.c.

    :param page: struct page *
    """
    guest = kernel.memory()
    first = compound_head(page)
    head = Page(guest, first)
    count = Page(guest, page).mapcount + 1
    if "head" not in flag_names(head.flags):
        return count
    double_map = _double_map()
    if double_map is None:
        return count + compound_mapcount(first)
    second = _second_page(first)
    is_anonymous = head.mapping & PAGE_MAPPING_ANON
    if not is_anonymous and not is_huge(first):
        return count
    return count + compound_mapcount(first) - (second.flags >> double_map & 1)


@structs.cached
def _double_map() -> int | None:
    """The bit PG_double_map in the flags of a compound page's second page."""
    return structs.enumerators("enum pageflags").get("PG_double_map")


def is_huge(head: Ptr[Page]) -> bool | None:
    """PageHuge(): is it a page of the pool?

    None where the kernel tells it in another way than by a destructor: since v6.6
    (9c5ccf2db04b).

    :param head: struct page * of the first
    """
    dtor = _second_page(head).compound_dtor
    if dtor is None:
        dtor = Folio(kernel.memory(), Ptr[Folio](head)).dtor
    return None if dtor is None else dtor == _hugetlb_page_dtor()


@structs.cached
def _hugetlb_page_dtor() -> int | None:
    """HUGETLB_PAGE_DTOR."""
    return structs.enumerators("enum compound_dtor_id").get("HUGETLB_PAGE_DTOR")


def may_be_page_table(pfn: int) -> bool:
    """Is a frame marked as a page table: PageTable()? Raises memory.Fault.

    Neither the kernel's nor the upper ones of processes are; and since PG_table is 0x400
    or 0x200, which nothing tells, others may seem so.
    """
    kind = Page(kernel.memory(), pfn_to_page(pfn)).mapcount & 0xFFFF_FFFF
    return kind & PAGE_TYPE_BASE == PAGE_TYPE_BASE and kind & 0x600 != 0x600


def buddy_order(pfn: int) -> int | None:
    """The order of the free block that starts with a page frame: buddy_order().

    None unless it is the first of one: PageBuddy(). Raises memory.Fault.
    """
    address = pfn_to_page(pfn)
    kind = Page(kernel.memory(), address).mapcount & 0xFFFF_FFFF
    if kind & (PAGE_TYPE_BASE | PG_BUDDY) != PAGE_TYPE_BASE:
        return None
    return Page(kernel.memory(), address).private
