# SPDX-License-Identifier: GPL-2.0-only
"""Page frames: what struct page says, which are free, and what a frame is used for."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterable

import pytest

from lab.linux import buddy, page, pageframe
from lab.linux.buddy import FreeBlock
from lab.target import structs
from lab.target.memory import Broken, Fault
from made_up import PAGE, PAGE_OFFSET, START_KERNEL_MAP, Guest

PAGES = 8192  # pages that have a struct page
PG_BUDDY, PG_TABLE = 0x80, 0x400  # page_type, include/linux/page-flags.h
ANON, MOVABLE, KSM = 1, 2, 3  # the lowest bits of page->mapping
PAGESETS = 0x28000  # where a CPU's lists of free pages are in these tests


@dataclass
class Frames:
    """The struct pages of a guest with one CPU; none of them is in use."""

    guest: Guest
    pages: int  # struct page *
    cpu: int  # the address of its per-CPU variables

    def set(self, pfn: int, flags: Iterable[str] = (), **members: int) -> int:
        """Set flags and members of a struct page, and return its address."""
        bits = structs.enumerators("enum pageflags")
        value = sum(1 << bits[f"PG_{name}"] for name in flags)
        address = self.pages + pfn * structs.sizeof("struct page")
        known = {"refcount": "_refcount.counter", "mapcount": "_mapcount.counter"}
        known["compound_mapcount"] = "compound_mapcount.counter"
        named = {known.get(name, name): value for name, value in members.items()}
        return self.guest.put("struct page", {"flags": value} | named, address)

    def block(self, pfn: int, order: int) -> None:
        """Make a free block of the buddy allocator."""
        self.set(pfn, mapcount=~PG_BUDDY, private=order)

    def compound(self, pfn: int, order: int, *flags: str, **members: int) -> int:
        """Make a compound page, and return the struct page * of the first one."""
        head = self.set(pfn, ("head", *flags), **members)
        for later in range(pfn + 1, pfn + (1 << order)):
            self.set(later, compound_head=head | 1)
        second = {"compound_order": order, "compound_mapcount.counter": -1}
        self.guest.put("struct page", second, head + structs.sizeof("struct page"))
        return head

    def list_head(self, number: int) -> int:
        """Return one of the CPU's lists, by number."""
        inside = structs.offsetof("struct per_cpu_pages", "lists")
        if self.guest.has("struct zone", "pageset"):
            inside += structs.offsetof("struct per_cpu_pageset", "pcp")
        return self.cpu + PAGESETS + inside + 16 * number

    def keep(self, number: int, *pfns: int) -> None:
        """Put pages on one of the CPU's lists."""
        lru = structs.offsetof("struct page", "lru")
        nodes = (self.pages + 64 * pfn + lru for pfn in pfns)
        self.guest.link(self.list_head(number), *nodes)


@pytest.fixture
def frames(guest: Guest) -> Frames:
    """Struct pages none of which is in use."""
    pages = guest.room(PAGES * 64, PAGE)
    guest.variable("vmemmap_base", pages)
    empty = struct.pack("<48xii8x", -1, 0)  # _mapcount, _refcount
    assert structs.offsetof("struct page", "_mapcount") == 48
    guest.write(pages, empty * PAGES)
    (cpu,) = guest.per_cpu_areas()
    made = Frames(guest, pages, cpu)
    node = guest.layout.address_of("contig_page_data")
    zone = node + structs.offsetof("struct pglist_data", "node_zones[1]")
    old = guest.has("struct zone", "pageset")
    name = "pageset" if old else "per_cpu_pageset"
    guest.put("struct zone", {"present_pages": 1, name: PAGESETS}, zone)
    for number in range(structs.member("struct per_cpu_pages", "lists")[1].count):
        made.keep(number)
    return made


# --- page.py --------------------------------------------------------------------------


def test_a_frame_and_its_struct_page(frames: Frames) -> None:
    assert page.pfn_to_page(3) == frames.pages + 192
    assert page.page_to_pfn(frames.pages + 192) == 3


def test_where_the_struct_pages_are(frames: Frames, guest: Guest) -> None:
    """At vmemmap_base, else in mem_map of flat memory, else at the fixed vmemmap."""
    guest.variable("mem_map", 0x1234)
    guest.without_symbol("vmemmap_base")
    assert page.vmemmap() == 0x1234
    guest.without_symbol("mem_map")
    with pytest.raises(Fault, match="no array of struct page"):
        page.vmemmap()
    guest.without_symbol("page_offset_base")
    assert page.vmemmap() == 0xFFFF_EA00_0000_0000


def test_no_fixed_place_with_five_levels(five: Guest) -> None:
    for name in ("vmemmap_base", "mem_map", "page_offset_base"):
        five.without_symbol(name)
    with pytest.raises(Fault, match="no array of struct page"):
        page.vmemmap()


def test_flags_have_one_name_each(guest: Guest) -> None:
    """It is the first one in enum pageflags; their count is not a flag."""
    assert page.flag_names(1 << 10 | 1) == ("locked", "owner_priv_1")
    assert page.flag_names(1 << 22) == ("arch_2",)
    assert page.flag_names(1 << 23) == ()


def test_the_zero_page(frames: Frames, guest: Guest) -> None:
    pfn = guest.layout.address_of("empty_zero_page") - START_KERNEL_MAP >> 12
    assert [page.is_zero_page(pfn + step) for step in (-1, 0, 1)] == [
        False,
        True,
        False,
    ]
    assert pageframe.page_of(pfn * PAGE).kind.startswith("the zero page")


def test_the_huge_zero_page(frames: Frames, guest: Guest) -> None:
    guest.variable("huge_zero_page", frames.pages + 64 * 1024)
    found = [page.is_zero_page(pfn) for pfn in (1023, 1024, 1535, 1536)]
    assert found == [False, True, True, False]
    guest.without_symbol("huge_zero_page")
    assert not page.is_zero_page(1024)


def test_a_compound_page(frames: Frames) -> None:
    head = frames.compound(64, 2)
    assert page.compound_head(head) == head
    assert page.compound_head(head + 3 * 64) == head
    assert page.compound_order(head) == 2
    assert page.compound_mapcount(head) == 0


@pytest.mark.parametrize("mapping", [0, ANON])
def test_how_often_a_small_page_is_mapped(frames: Frames, mapping: int) -> None:
    assert page.page_mapcount(frames.set(9, mapcount=-1, mapping=mapping)) == 0
    assert page.page_mapcount(frames.set(9, mapcount=2, mapping=mapping)) == 3


@pytest.mark.parametrize(
    ("mapping", "double", "hugetlb", "count"),
    [
        (
            PAGE_OFFSET,
            False,
            False,
            2,
        ),  # a file's page has all mappings in its own count
        (PAGE_OFFSET, False, True, 2 + 4),
        (PAGE_OFFSET | ANON, False, False, 2 + 4),
        (PAGE_OFFSET | ANON, True, False, 2 + 4 - 1),
    ],
)
def test_how_often_a_page_of_a_huge_one_is_mapped(
    frames: Frames, mapping: int, double: bool, hugetlb: bool, count: int
) -> None:
    head = frames.compound(512, 9, mapping=mapping)
    second = {"compound_mapcount.counter": 3, "compound_dtor": 2 if hugetlb else 3}
    second["flags"] = double << structs.enumerators("enum pageflags")["PG_double_map"]
    frames.guest.put("struct page", second, head + 64)
    third = frames.guest.put("struct page", {"_mapcount.counter": 1}, head + 128)
    assert page.page_mapcount(third) == count
    assert page.is_huge(head) == hugetlb


def test_without_double_map_the_mappings_of_the_whole_count(frames: Frames) -> None:
    """Since v6.2, cb67f4282bf9."""
    del frames.guest.layout._types["enum pageflags"]["enumerators"]["PG_double_map"]
    structs.forget()
    head = frames.compound(512, 9, mapping=PAGE_OFFSET)
    second = {"compound_mapcount.counter": 3, "compound_dtor": 3}
    frames.guest.put("struct page", second, head + 64)
    third = frames.guest.put("struct page", {"_mapcount.counter": 1}, head + 128)
    assert page.page_mapcount(third) == 2 + 4


def test_the_start_of_a_free_block(frames: Frames) -> None:
    frames.block(256, 3)
    assert page.buddy_order(256) == 3
    assert page.buddy_order(257) is None
    frames.set(300, mapcount=~PG_TABLE, private=3)
    assert page.buddy_order(300) is None
    frames.set(300, mapcount=0, private=3)
    assert page.buddy_order(300) is None


# --- buddy.py -------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "order"), [(256, 0), (256, 3), (1024, 10)])
def test_the_frames_of_a_free_block(frames: Frames, first: int, order: int) -> None:
    frames.block(first, order)
    last = first + (1 << order) - 1
    expected = FreeBlock(first, order, "in the buddy allocator")
    assert buddy.free_block(first) == buddy.free_block(last) == expected
    assert buddy.free_block(first - 1) is None and buddy.free_block(last + 1) is None


def test_an_order_that_no_block_has(frames: Frames) -> None:
    assert buddy.nr_orders() == 11
    frames.block(1024, 11)
    assert buddy.free_block(1024) is None and buddy.free_block(1030) is None


def test_a_block_whose_start_has_no_struct_page(frames: Frames) -> None:
    """If RAM ends early, the smaller blocks are still found."""
    frames.block(PAGES - 4, 1)
    expected = FreeBlock(PAGES - 4, 1, "in the buddy allocator")
    assert buddy.free_block(PAGES - 3) == expected


def test_what_a_cpu_keeps(frames: Frames) -> None:
    frames.keep(1, 300, 17)
    expected = {300: 0, 17: 0}
    if not frames.guest.has("struct zone", "pageset"):
        # Three types of each order, then huge pages: since v5.14
        frames.keep(2 * 3 + 2, 40)
        frames.keep(4 * 3 + 1, 512)
        expected |= {40: 2, 512: 9}
    assert buddy.free_for_cpus() == expected


def test_which_of_some_blocks_a_frame_is_in(guest: Guest) -> None:
    blocks = {17: 0, 40: 2, 512: 9}
    for order, pfns in ((0, (17,)), (2, (40, 43)), (9, (512, 1023))):
        for pfn in pfns:
            expected = FreeBlock(pfns[0], order, "on a list of a CPU's")
            assert buddy.block_of_cpus(pfn, blocks) == expected
    for pfn in (39, 44, 1024):
        assert buddy.block_of_cpus(pfn, blocks) is None


def test_whose_a_free_block_is(frames: Frames) -> None:
    frames.block(256, 3)
    frames.keep(0, 300)
    free = buddy.Lists()
    assert free.block(260) == FreeBlock(256, 3, "in the buddy allocator")
    assert free.block(300) == FreeBlock(300, 0, "on a list of a CPU's")
    assert free.block(301) is None
    frames.keep(0)
    assert free.block(300) is not None, "the lists are those of one moment"
    assert buddy.Lists().block(300) is None


def test_a_list_of_a_cpu_that_is_damaged(frames: Frames) -> None:
    head = frames.list_head(2)
    frames.guest.set("struct list_head", head, "next", 0xDEAD_0000_0000)
    with pytest.raises(Broken, match="is cut"):
        buddy.Lists().block(300)


def test_nodes_of_a_kernel_for_several(frames: Frames) -> None:
    frames.keep(0, 300)
    guest = frames.guest
    node = guest.layout.address_of("contig_page_data")
    array = guest.symbol("node_data", 32)
    guest.without_symbol("contig_page_data")
    guest.write(array, struct.pack("<4Q", 0, node, 0, 0))
    assert buddy.free_for_cpus() == {300: 0}


# --- pageframe.py -----------------------------------------------------------------------


def kind(pfn: int) -> str:
    """Return what a frame is used for."""
    return pageframe.page_of(pfn * PAGE).kind


def test_a_free_page(frames: Frames) -> None:
    frames.block(256, 3)
    found = pageframe.page_of(259 * PAGE + 5)
    assert found.kind == "free, in the buddy allocator"
    assert (found.pfn, found.order, found.head) == (259, 3, page.pfn_to_page(256))
    assert found.mapcount is None
    frames.keep(0, 300)
    assert kind(300) == "free, on a list of a CPU's"


@pytest.mark.parametrize(
    ("flags", "members", "expected"),
    [
        (["slab"], {"refcount": 1}, "slab: objects of the kernel"),
        ([], {"refcount": 1, "mapcount": ~PG_TABLE}, "the kernel's own, such as"),
        (["reserved"], {"refcount": 1}, "reserved: "),
        (["lru"], {"refcount": 0}, "without a count: just changing hands"),
        (["lru"], {"mapping": 0x1000 | ANON, "refcount": 1}, "anonymous memory"),
        (["lru"], {"mapping": 0x1000 | KSM, "refcount": 1}, "anonymous memory, shared"),
        ([], {"mapping": 0x1000 | MOVABLE, "refcount": 1}, "a driver's page"),
        (["lru"], {"mapping": 0xDEAD_0000_0000, "refcount": 1}, "page cache: address_"),
    ],
)
def test_uses_of_a_page(
    frames: Frames, flags: list[str], members: dict[str, int], expected: str
) -> None:
    frames.set(77, flags, **members)
    assert kind(77).startswith(expected)


@pytest.mark.parametrize("anonymous", [ANON, KSM])
def test_an_anonymous_page(frames: Frames, anonymous: int) -> None:
    """PageAnon() asks for one bit of page->mapping, which a page of KSM's has too."""
    flags = ["uptodate", "owner_priv_1", "mappedtodisk"]
    mapping = PAGE_OFFSET | anonymous
    address = frames.set(77, flags, refcount=3, mapcount=1, mapping=mapping)
    found = pageframe.page_of(77 * PAGE)
    assert (found.address, found.refcount, found.mapcount) == (address, 3, 2)
    assert (found.order, found.head) == (0, address)
    assert found.flags == ("uptodate", "swapcache", "anon_exclusive")
    for mapping in (PAGE_OFFSET, PAGE_OFFSET | MOVABLE):
        frames.set(77, flags, refcount=3, mapping=mapping)
        assert pageframe.page_of(77 * PAGE).flags == tuple(flags)


def test_a_page_of_a_file(frames: Frames) -> None:
    guest = frames.guest
    kind_of = guest.put("struct file_system_type", {"name": guest.string(b"ext4")})
    device = guest.put("struct super_block", {"s_type": kind_of})
    inode = guest.put("struct inode", {"i_ino": 7, "i_sb": device})
    mapping = guest.put("struct address_space", {"host": inode})
    frames.set(77, ["lru"], refcount=1, mapping=mapping)
    assert kind(77) == "page cache: inode 7 of ext4"


def test_a_later_page_of_a_compound_one(frames: Frames) -> None:
    head = frames.compound(64, 2, "lru", refcount=1, mapping=PAGE_OFFSET | ANON)
    found = pageframe.page_of(66 * PAGE)
    assert (found.kind, found.order, found.head) == ("anonymous memory", 2, head)
    slab = frames.compound(128, 3, "slab", refcount=1)
    found = pageframe.page_of(130 * PAGE)
    assert (found.kind, found.head) == ("slab: objects of the kernel", slab)


@pytest.mark.parametrize(("dtor", "free"), [(1, False), (2, True)])
def test_a_page_in_the_pool_of_huge_ones(frames: Frames, dtor: int, free: bool) -> None:
    head = frames.compound(512, 9)
    frames.guest.put("struct page", {"compound_dtor": dtor}, head + 64)
    expected = "free, in the pool of huge pages"
    assert (kind(512) == expected) == free and (kind(700) == expected) == free


def test_a_block_that_is_not_compound(frames: Frames) -> None:
    """Only its first page has a count; its size is recorded nowhere."""
    first = frames.set(64, refcount=1)
    frames.set(66, refcount=1)
    found = pageframe.page_of(64 * PAGE)
    assert "a block of up to 2, of which nothing is written" in found.kind
    assert found.order is None
    found = pageframe.page_of(65 * PAGE)
    assert "a later page of the block that starts with frame 0x40" in found.kind
    assert (found.order, found.head) == (None, first)
    frames.set(65, refcount=1)
    found = pageframe.page_of(65 * PAGE)
    assert (found.kind, found.order) == ("in use by the kernel", 0)


@pytest.mark.parametrize(
    ("behind", "largest"), [(65, None), (66, 2), (67, 2), (68, 4), (72, 8), (80, 16)]
)
def test_how_large_such_a_block_can_be(
    frames: Frames, behind: int, largest: int | None
) -> None:
    """As far as pages without a count go, and the alignment of the first page allows."""
    frames.set(64, refcount=1)
    frames.block(behind, 0)
    if largest is None:
        assert kind(64) == "in use by the kernel"
    else:
        assert f"a block of up to {largest}, " in kind(64)


def test_a_block_is_aligned_to_its_size(frames: Frames) -> None:
    frames.set(68, refcount=1)
    assert "a block of up to 4, " in kind(68)
    frames.set(2048, refcount=1)
    assert "a block of up to 1024, " in kind(2048)


@pytest.mark.parametrize(
    ("flags", "members"),
    [
        (["lru"], {"refcount": 1}),
        (["slab"], {"refcount": 1}),
        (["uptodate"], {"refcount": 0}),
        (["reserved"], {"refcount": 1}),
        ([], {"refcount": 1, "mapping": 0x1000 | ANON}),
        ([], {"refcount": 1, "mapcount": ~PG_TABLE}),
        ([], {"refcount": 0, "mapping": 0x1000}),
    ],
)
def test_what_starts_no_such_block(
    frames: Frames, flags: list[str], members: dict[str, int]
) -> None:
    frames.set(64, flags, **members)
    assert kind(65) == "on no free list, but without a count: just changing hands"


def test_a_page_that_cannot_be_told_because_a_list_is_damaged(frames: Frames) -> None:
    head = frames.list_head(2)
    frames.guest.set("struct list_head", head, "next", 0xDEAD_0000_0000)
    found = pageframe.page_of(65 * PAGE)
    assert found.kind.startswith("free or a later page of a block: the list at")
    assert (found.order, found.head) == (None, None)


def test_a_frame_without_a_struct_page(frames: Frames) -> None:
    with pytest.raises(Fault):
        pageframe.page_of(1 << 45)
