# SPDX-License-Identifier: GPL-2.0-only
"""The page cache: xarrays, and files that are read from memory."""

from __future__ import annotations

import struct

import pytest

from lab.linux import filemap
from lab.target import structs
from lab.target.memory import Fault
from made_up import PAGE, PAGE_OFFSET, Guest

SLOTS = 16  # in the layouts' kernels, with CONFIG_BASE_SMALL
ENTRY = 0xFFFF_8880_0000_4000


def node(guest: Guest, shift: int, slots: dict[int, int]) -> int:
    """Make a struct xa_node, and return the entry that leads to it."""
    words = struct.pack(f"<{SLOTS}Q", *(slots.get(i, 0) for i in range(SLOTS)))
    return guest.put("struct xa_node", {"shift": shift, "slots": words}) | 2


def sibling(slot: int) -> int:
    """Make the entry of a later slot of a wide entry: xa_mk_sibling()."""
    return slot << 2 | 2


def test_the_layouts_have_small_nodes(guest: Guest) -> None:
    assert structs.member("struct xa_node", "slots")[1].count == SLOTS


def test_an_array_of_one_entry(guest: Guest) -> None:
    assert filemap.xa_load(ENTRY, 0) == ENTRY
    assert filemap.xa_load(ENTRY, 1) == 0
    assert filemap.xa_load(0, 0) == 0


def test_an_array_of_one_node(guest: Guest) -> None:
    head = node(guest, 0, {0: ENTRY, 15: ENTRY + 64})
    found = [filemap.xa_load(head, index) for index in (0, 1, 15, 16, 1 << 63)]
    assert found == [ENTRY, 0, ENTRY + 64, 0, 0]


def test_an_array_of_two_levels(guest: Guest) -> None:
    low, high = node(guest, 0, {3: ENTRY}), node(guest, 0, {0: ENTRY + 64})
    head = node(guest, 4, {0: low, 2: high})
    found = {index: filemap.xa_load(head, index) for index in (3, 32, 19, 33, 256)}
    assert found == {3: ENTRY, 32: ENTRY + 64, 19: 0, 33: 0, 256: 0}


def test_an_entry_of_several_slots(guest: Guest) -> None:
    """The later slots tell in which slot it begins."""
    head = node(guest, 0, {4: ENTRY, 5: sibling(4), 6: sibling(4), 7: sibling(4)})
    assert [filemap.xa_load(head, index) for index in (4, 5, 7)] == [ENTRY] * 3
    last = node(guest, 0, {14: ENTRY, 15: sibling(14)})
    assert filemap.xa_load(last, 15) == ENTRY
    wide = node(guest, 4, {8: ENTRY, 9: sibling(8)})
    assert filemap.xa_load(wide, 9 * 16 + 5) == ENTRY


def test_nodes_that_lead_nowhere(guest: Guest) -> None:
    with pytest.raises(Fault):
        filemap.xa_load(0xDEAD_0000_0002, 0)
    with pytest.raises(Fault, match="no node"):
        filemap.xa_load(node(guest, 64, {0: ENTRY}), 0)
    same = node(guest, 4, {0: node(guest, 4, {0: ENTRY})})
    with pytest.raises(Fault, match="no node"):
        filemap.xa_load(same, 0)
    assert filemap.xa_load(node(guest, 60, {}), 0) == 0


class Cached:
    """An open file, and its pages in memory."""

    def __init__(self, guest: Guest, size: int) -> None:
        self.guest = guest
        self.pages = guest.room(256 * 64, PAGE)  # struct pages for all RAM below
        first = guest.physical(guest.room(PAGE, PAGE)) // PAGE
        guest.variable("vmemmap_base", self.pages - 64 * first)
        self.first = first
        inode = guest.put("struct inode", {"i_size": size})
        self.mapping = guest.put("struct address_space")
        members = {"f_inode": inode, "f_mapping": self.mapping}
        self.file = guest.put("struct file", members)

    def page(self, data: bytes) -> int:
        """Put a page into memory, and return its struct page *."""
        place = self.guest.room(PAGE, PAGE)
        self.guest.write(place, data)
        return self.struct_page(place)

    def struct_page(self, place: int) -> int:
        """Return the struct page * of a page in the direct map."""
        pfn = self.guest.physical(place) // PAGE
        return self.pages + 64 * (pfn - self.first)

    def cache(self, entries: dict[int, int]) -> None:
        """Put these entries into the page cache, by index."""
        head = node(self.guest, 0, entries)
        kind = "struct address_space"
        self.guest.set(kind, self.mapping, "i_pages.xa_head", head)


@pytest.fixture
def cached(guest: Guest) -> Cached:
    """A file of two and a half pages, all of them in memory."""
    made = Cached(guest, 2 * PAGE + PAGE // 2)
    entries = {number: made.page(b"%d" % number * PAGE) for number in range(3)}
    made.cache(entries)
    return made


def test_a_file_that_is_in_memory(cached: Cached) -> None:
    whole = b"0" * PAGE + b"1" * PAGE + b"2" * (PAGE // 2)
    assert filemap.file_size(cached.file) == len(whole)
    assert filemap.kernel_read_all(cached.file, len(whole)) == whole
    for offset, size in ((0, 1), (PAGE - 2, 4), (2 * PAGE, PAGE), (len(whole), 5)):
        found = filemap.kernel_read(cached.file, offset, size)
        assert found == whole[offset : offset + size]


def test_a_file_that_is_too_large(cached: Cached) -> None:
    with pytest.raises(Fault, match="is not read further"):
        filemap.kernel_read_all(cached.file, 2 * PAGE + PAGE // 2 - 1)


@pytest.mark.parametrize("entry", [0, 0x1001, 257 << 2 | 2])
def test_a_page_that_is_not_in_memory(cached: Cached, entry: int) -> None:
    """There is no entry, or the shadow of an evicted page, or an internal entry."""
    cached.cache({0: cached.page(b"0" * PAGE), 1: entry})
    assert filemap.kernel_read(cached.file, 0, PAGE) == b"0" * PAGE
    with pytest.raises(Fault, match="not in the page cache") as trouble:
        filemap.kernel_read(cached.file, 0, PAGE + 1)
    assert trouble.value.address == PAGE


def test_a_large_page_of_a_file(cached: Cached) -> None:
    """It is one entry of four slots, and four frames."""
    guest = cached.guest
    place = guest.room(4 * PAGE, 4 * PAGE)
    for number in range(4):
        guest.write(place + number * PAGE, b"%d" % number * PAGE)
    head = cached.struct_page(place)
    bit = structs.enumerators("enum pageflags")["PG_head"]
    guest.set("struct page", head, "flags", 1 << bit)
    guest.set("struct page", head + 64, "compound_order", 2)
    for number in range(1, 4):
        guest.set("struct page", head + 64 * number, "compound_head", head | 1)
    cached.cache({0: head, **{number: sibling(0) for number in range(1, 4)}})
    assert filemap.kernel_read(cached.file, PAGE - 1, PAGE + 2) == (
        b"0" + b"1" * PAGE + b"2"
    )
    found = filemap.find_get_page(cached.mapping, 2)
    assert found == place - PAGE_OFFSET + 2 * PAGE
