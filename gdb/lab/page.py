# SPDX-License-Identifier: GPL-2.0-only
"""Page frames: struct page (include/linux/mm_types.h, page-flags.h)."""

from __future__ import annotations

from dataclasses import dataclass

from . import kernel, layout
from .memory import PAGE_SIZE, START_KERNEL_MAP, Fault
from .printable import text_of

# Since v6.2 (4375a553f4a7, 94688e8eb453) how large a compound page is and how
# often it is mapped stands in struct folio, at the same place.
PAGE = layout.Form(
    "struct page",
    "flags",
    "mapping",
    "index",
    refcount="_refcount.counter",
    mapcount="_mapcount.counter",
)
TAIL = layout.Form(
    "struct page",
    "flags",
    "compound_head",
    "?compound_dtor",
    "?compound_order",
    mapcount="?compound_mapcount.counter",
)
FOLIO = layout.Form(
    "struct folio", order="?_folio_order", mapcount="?_entire_mapcount.counter"
)
PRIVATE = layout.Form("struct page", "private")
MAPPING = layout.Form("struct address_space", "host")
INODE = layout.Form("struct inode", "i_ino", "i_sb")
SUPER = layout.Form("struct super_block", "s_dev", "s_type")
TYPE = layout.Form("struct file_system_type", "name")
SLAB_CACHE = layout.Form("struct kmem_cache", "name")

PAGE_MAPPING_ANON = 1
PAGE_MAPPING_MOVABLE = 2
PAGE_MAPPING_KSM = 3
# What bits mean for anonymous memory: in the swap cache; of one process alone
# (v5.19, 6c287605fd56), a bit that meant nothing before
ANONYMOUS_NAMES = {"owner_priv_1": "swapcache", "mappedtodisk": "anon_exclusive"}
# page_type is stored where the mapcount is, and then a bit that is clear tells
PAGE_TYPE_BASE = 0xF000_0000
PG_BUDDY = 0x80  # since v4.18 (6e292b9be7f4); vmcoreinfo exports it


HUGE_PAGES = 512  # HPAGE_PMD_NR


@dataclass(frozen=True)
class Page:
    """What is cheap to know of a page frame."""

    address: int  # struct page *
    pfn: int
    flags: tuple[str, ...]
    refcount: int
    mapcount: int | None  # how many page tables map it; None if that is no count
    order: int  # of the compound or free block it is the start or a part of
    head: int  # struct page * of that block's first page, or its own
    kind: str  # what it is used for


def vmemmap() -> int:
    """Address of the array of all struct page: pfn_to_page(0).

    Raises Fault for a kernel that has no such array (neither sparse vmemmap nor
    flat memory).
    """
    if layout.has_symbol("vmemmap_base"):
        return kernel.memory().u64(layout.address_of("vmemmap_base"))
    if layout.has_symbol("mem_map"):
        return kernel.memory().u64(layout.address_of("mem_map"))
    if kernel.memory().levels == 4 and not layout.has_symbol("page_offset_base"):
        return 0xFFFF_EA00_0000_0000  # __VMEMMAP_BASE_L4
    raise Fault(0, "this kernel's memory model has no array of struct page")


def pfn_to_page(pfn: int) -> int:
    """The struct page * of a page frame."""
    return vmemmap() + pfn * layout.sizeof("struct page")


def page_to_pfn(page: int) -> int:
    """The number of a page frame. Parameter: struct page *."""
    return (page - vmemmap()) // layout.sizeof("struct page")


@layout.cached
def page_flags() -> tuple[tuple[int, str], ...]:
    """Bits and names of enum pageflags; one name for a bit with several.

    Their numbers depend on the kernel's options, and come from its debug info.
    """
    names: dict[int, str] = {}
    numbers = layout.enumerators("enum pageflags")
    for name, bit in numbers.items():
        if bit < numbers["__NR_PAGEFLAGS"]:
            names.setdefault(bit, name.removeprefix("PG_"))
    return tuple(sorted(names.items()))


def page_of(physical: int) -> Page:
    """The page frame of a physical address.

    Raises memory.Fault where there is no struct page, such as for a device.
    """
    guest = kernel.memory()
    pfn = physical // PAGE_SIZE
    address = pfn_to_page(pfn)
    own = PAGE(guest, address)
    first = compound_head(address)
    head = PAGE(guest, first)
    is_compound = "head" in flag_names(head.flags)
    order = compound_order(first) if is_compound else 0
    mapcount = None
    if is_zero_page(pfn):
        kind = "the zero page: all memory that was only read is this page"
    elif _is_free(own):
        kind, order = "free, in the buddy allocator", PRIVATE(guest, address).private
    elif "slab" in flag_names(head.flags):
        kind = "slab: objects of the kernel"
    elif own.mapcount < -1:
        kind = "the kernel's own, such as a page table"
    else:
        mapcount = page_mapcount(address)
        kind = _use(head)
    flags = flag_names(own.flags)
    if head.mapping & 3 == PAGE_MAPPING_ANON:
        flags = tuple(ANONYMOUS_NAMES.get(name, name) for name in flags)
    return Page(address, pfn, flags, own.refcount, mapcount, order, first, kind)


def is_zero_page(pfn: int) -> bool:
    """Is it what anonymous memory shows until it is written: is_zero_pfn(), or a
    part of the large page of zeros, is_huge_zero_page()?"""
    zero = layout.address_of("empty_zero_page") - START_KERNEL_MAP
    if pfn == zero + kernel.memory().phys_base >> 12:
        return True
    if not layout.has_symbol("huge_zero_page"):
        return False
    huge = kernel.memory().u64(layout.address_of("huge_zero_page"))
    return bool(huge) and 0 <= pfn - page_to_pfn(huge) < HUGE_PAGES


def flag_names(flags: int) -> tuple[str, ...]:
    """The names of the bits in page->flags, lowest first."""
    return tuple(name for bit, name in page_flags() if flags >> bit & 1)


def compound_head(page: int) -> int:
    """The first page of a compound one, or the page itself: struct page *."""
    head = TAIL(kernel.memory(), page).compound_head
    return head - 1 if head & 1 else page


def compound_order(head: int) -> int:
    """A compound page has 2**order pages. Parameter: struct page * of the first."""
    second = TAIL(kernel.memory(), head + layout.sizeof("struct page"))
    if hasattr(second, "compound_order"):
        return second.compound_order
    return FOLIO(kernel.memory(), head).order


def compound_mapcount(head: int) -> int:
    """How often a compound page is mapped as a whole: struct page * of the first."""
    second = TAIL(kernel.memory(), head + layout.sizeof("struct page"))
    if hasattr(second, "mapcount"):
        return second.mapcount + 1
    return FOLIO(kernel.memory(), head).mapcount + 1


def page_mapcount(page: int) -> int:
    """How many page-table entries map a page, those of huge pages among them.

    Parameter: struct page *. Before v6.2 (cb67f4282bf9) the pages of a huge one had
    the mappings of the whole counted in: those of a file's always, anonymous ones
    once, while PG_double_map said so. See __page_mapcount() in mm/util.c.
    """
    guest = kernel.memory()
    first = compound_head(page)
    head = PAGE(guest, first)
    count = PAGE(guest, page).mapcount + 1
    if "head" not in flag_names(head.flags):
        return count
    double_map = _double_map()
    if double_map is None:
        return count + compound_mapcount(first)
    second = TAIL(guest, first + layout.sizeof("struct page"))
    is_anonymous = head.mapping & PAGE_MAPPING_ANON
    if not is_anonymous and second.compound_dtor != _hugetlb_page_dtor():
        return count
    return count + compound_mapcount(first) - (second.flags >> double_map & 1)


@layout.cached
def _double_map() -> int | None:
    """The bit PG_double_map in the flags of a compound page's second page."""
    return layout.enumerators("enum pageflags").get("PG_double_map")


@layout.cached
def _hugetlb_page_dtor() -> int | None:
    """HUGETLB_PAGE_DTOR: how PageHuge() knows a page of the pool."""
    return layout.enumerators("enum compound_dtor_id").get("HUGETLB_PAGE_DTOR")


def _is_free(page: tuple) -> bool:
    """PageBuddy()."""
    kind = page.mapcount & 0xFFFF_FFFF
    return kind & (PAGE_TYPE_BASE | PG_BUDDY) == PAGE_TYPE_BASE


def _use(head: tuple) -> str:
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
        return "not in use"
    if head.mapping:
        return f"page cache: {_inode(head.mapping)}"
    return "in use by the kernel"


def _inode(mapping: int) -> str:
    """Which file's pages: struct address_space *."""
    guest = kernel.memory()
    try:
        inode = INODE(guest, MAPPING(guest, mapping).host)
        device = SUPER(guest, inode.i_sb)
        name = text_of(guest.read_string(TYPE(guest, device.s_type).name))
    except Fault:
        return f"address_space {mapping:#x}"
    return f"inode {inode.i_ino} of {name}"
