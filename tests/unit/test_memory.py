# SPDX-License-Identifier: GPL-2.0-only
"""Reading a made-up guest: placement, translation, holes."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.linux.mm import mm_struct
from lab.target import kernel
from lab.target.memory import START_KERNEL_MAP, Fault
from made_up import PAGE, PAGE_OFFSET, SIZE, WRITE, Guest


def test_the_direct_map_is_found(guest: Guest) -> None:
    memory = kernel.memory()
    assert (memory.phys_base, memory.page_offset, memory.levels) == (0, PAGE_OFFSET, 4)


def test_the_direct_map_with_five_levels(five: Guest) -> None:
    memory = kernel.memory()
    assert (memory.page_offset, memory.levels) == (0xFF11_0000_0000_0000, 5)
    assert memory.read_string(five.string(b"hello")) == b"hello"


def test_what_is_not_canonical_is_not_translated(guest: Guest, tmp_path: Path) -> None:
    """The bits above those that the tables translate are copies of the highest of them."""
    pgd = guest.table()
    guest.map(pgd, 0, 0x5000)
    with pytest.raises(Fault, match="not canonical"):
        kernel.memory().translate(pgd, 1 << 47)
    guest.map(pgd, 1 << 47, 0x5000)
    assert kernel.memory().translate(pgd, -1 << 47 & (1 << 64) - 1) == 0x5000
    five = Guest(guest.layout, tmp_path, levels=5)
    pgd = five.table()
    five.map(pgd, 1 << 47, 0x6000)
    assert kernel.memory().translate(pgd, 1 << 47) == 0x6000
    with pytest.raises(Fault, match="not canonical"):
        kernel.memory().translate(pgd, 1 << 56)


def test_members_by_their_names(guest: Guest) -> None:
    mm = guest.put("struct mm_struct", {"map_count": 2, "mm_users.counter": 3})
    read = mm_struct(mm)
    assert (read.address, read.map_count, read.mm_users) == (mm, 2, 3)


def test_a_negative_member(guest: Guest) -> None:
    mm = guest.put("struct mm_struct", {"mm_count.counter": -1})
    assert mm_struct(mm).mm_count == -1


def test_a_string(guest: Guest) -> None:
    place = guest.string(b"hello")
    assert kernel.memory().read_string(place) == b"hello"


def test_a_string_without_an_end(guest: Guest) -> None:
    place = guest.room(PAGE, PAGE)
    guest.write(place, b"x" * PAGE)
    guest.write(place + PAGE, b"x")
    with pytest.raises(Fault):
        kernel.memory().read_string(place, PAGE)


def test_behind_all_memory(guest: Guest) -> None:
    with pytest.raises(Fault):
        kernel.memory().read(PAGE_OFFSET + SIZE, 1)


def test_only_the_kernel_image_is_mapped_there(guest: Guest) -> None:
    """cleanup_highmap() unmaps the rest of its 1 GiB: there is no RAM behind it."""
    start, end = (guest.layout.address_of(symbol) for symbol in ("_text", "_end"))
    guest.write(end - 4, b"last")
    assert kernel.memory().read(end - 4, 4) == b"last"
    for address in (start - 1, end - 1, end, START_KERNEL_MAP, START_KERNEL_MAP + SIZE):
        with pytest.raises(Fault):
            kernel.memory().read(address, 4)


def test_across_two_pages_that_lie_elsewhere(guest: Guest) -> None:
    first, second = (guest.room(PAGE, PAGE) for _ in range(2))
    guest.write(first, b"a" * PAGE)
    guest.write(second, b"b" * PAGE)
    pgd = guest.table()
    guest.map(pgd, 0x40_0000, guest.physical(second))
    guest.map(pgd, 0x40_1000, guest.physical(first))
    assert kernel.memory().read_mapped(pgd, 0x40_0FFE, 4) == b"bbaa"


def test_a_hole_is_no_zero(guest: Guest) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x40_0000, guest.physical(guest.room(PAGE, PAGE)), WRITE)
    with pytest.raises(Fault) as problem:
        kernel.memory().read_mapped(pgd, 0x40_0FFE, 4)
    assert problem.value.address == 0x40_1000


@pytest.mark.parametrize("level", [2, 3])
def test_a_large_page(guest: Guest, level: int) -> None:
    pgd = guest.table()
    guest.write(PAGE_OFFSET + 0x123, b"here")
    guest.map(pgd, 0x4000_0000, 0, level=level)
    assert kernel.memory().read_mapped(pgd, 0x4000_0123, 4) == b"here"
