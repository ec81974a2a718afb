# SPDX-License-Identifier: GPL-2.0-only
"""Page tables in made-up memory: a walk, all pages of a range, damaged tables."""

from __future__ import annotations

import pytest

from lab.linux import pagewalk, pgtable
from lab.target import kernel
from lab.target.memory import PAGE_PROTNONE, Broken, Fault
from made_up import LARGE, PAGE, PRESENT, SIZE, USER, WRITE, Guest

NX = 1 << 63
TWO_MIB, ONE_GIB = 2 << 20, 1 << 30


def pages(guest: Guest, pgd: int, start: int, end: int) -> list[tuple[int, int]]:
    """Return address and size of each page mapped in a range."""
    found = pagewalk.walk_page_range(pgd, start, end)
    return [(address, size) for address, size, _, value in found if value & PRESENT]


@pytest.mark.parametrize("address", [0, 0x40_0000, 0x7FFF_FFFF_F000, 0x5555_5555_4000])
def test_a_walk_to_a_page(guest: Guest, address: int) -> None:
    pgd = guest.table()
    guest.map(pgd, address, 0x12_3000)
    walk = pgtable.walk(pgd, address + 0x45)
    assert [entry.name for entry in walk.entries] == ["pgd", "pud", "pmd", "pte"]
    assert walk.physical == 0x12_3045 and not walk.broken


@pytest.mark.parametrize(("level", "size"), [(2, TWO_MIB), (3, ONE_GIB)])
def test_a_walk_to_a_large_page(guest: Guest, level: int, size: int) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x4000_0000, 0, level=level)
    walk = pgtable.walk(pgd, 0x4000_1234)
    assert walk.physical == 0x1234 and walk.last.size == size
    assert "PSE" in [name for name, _ in walk.last.flags()]


@pytest.mark.parametrize("made", [0, 1, 2, 3])
def test_where_a_walk_ends(guest: Guest, made: int) -> None:
    """There are so many tables below the top one, and the last is empty."""
    table = pgd = guest.table()
    for level in range(4, 4 - made, -1):
        below = guest.table()
        guest.entry(table, 0x1234_5000 >> 12 + 9 * (level - 1) & 511, below | PRESENT)
        table = below
    walk = pgtable.walk(pgd, 0x1234_5000)
    assert walk.physical is None and len(walk.entries) == made + 1
    assert pgtable.kind(walk.last) == "none"


def test_a_page_without_rights(guest: Guest) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x1000, 0x5000)
    table = pgtable.walk(pgd, 0x1000).last.table
    guest.entry(table, 1, 0x5000 | PAGE_PROTNONE)
    walk = pgtable.walk(pgd, 0x1000)
    assert walk.physical is None and pgtable.kind(walk.last) == "protnone"


@pytest.mark.parametrize("table", [SIZE, 1 << 45])
def test_a_table_in_no_ram(guest: Guest, table: int) -> None:
    pgd = guest.table()
    guest.entry(pgd, 0, table | PRESENT)
    walk = pgtable.walk(pgd, 0x1000)
    assert walk.broken and walk.physical is None
    with pytest.raises(Broken):
        list(pagewalk.walk_page_range(pgd, 0, TWO_MIB))
    with pytest.raises(Fault):
        kernel.memory().translate(pgd, 0x1000)


@pytest.mark.parametrize(
    "flags", [USER, USER | WRITE, WRITE, USER | NX, USER | WRITE | NX]
)
def test_rights_are_those_of_all_levels(guest: Guest, flags: int) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x1000, 0x5000, flags)
    rights = pgtable.walk(pgd, 0x1000).rights()
    assert ("user" in rights) == bool(flags & USER)
    assert ("w" in rights.split()[0]) == bool(flags & WRITE)
    assert ("x" in rights.split()[0]) == (not flags & NX)


def test_all_pages_of_a_range(guest: Guest) -> None:
    pgd = guest.table()
    places = [0x1000, 0x2000, 0x20_0000, 0x3F_F000, 0x4000_0000, 0x7FFF_FFFF_E000]
    for place in places:
        guest.map(pgd, place, 0x1000)
    assert [address for address, _ in pages(guest, pgd, 0, 1 << 47)] == places
    assert pages(guest, pgd, 0x2000, 0x20_1000) == [(0x2000, PAGE), (0x20_0000, PAGE)]
    assert pages(guest, pgd, 0x2000, 0x2000 + PAGE) == [(0x2000, PAGE)]
    assert pages(guest, pgd, 0x3000, 0x4000) == []


def test_large_pages_of_a_range(guest: Guest) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x40_0000, 0, level=2)
    guest.map(pgd, 0x8000_0000, 0, level=3)
    found = pages(guest, pgd, 0, 1 << 47)
    assert found == [(0x40_0000, TWO_MIB), (0x8000_0000, ONE_GIB)]


def test_the_kernel_s_half_is_told_in_canonical_addresses(guest: Guest) -> None:
    pgd = guest.table()
    guest.map(pgd, 0xFFFF_C900_0000_1000, 0x3000, WRITE)
    start = 0xFFFF_C900_0000_0000
    assert pages(guest, pgd, start, start + TWO_MIB) == [(start + 0x1000, PAGE)]


def test_a_table_that_leads_to_itself(guest: Guest) -> None:
    pgd = guest.table()
    guest.entry(pgd, 0, pgd | PRESENT)
    with pytest.raises(Broken, match="comes again"):
        list(pagewalk.walk_page_range(pgd, 0, 1 << 47))


def test_a_large_bit_in_the_last_level_is_the_memory_type(guest: Guest) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x1000, 0x5000)
    table = pgtable.walk(pgd, 0x1000).last.table
    guest.entry(table, 1, 0x5000 | PRESENT | LARGE)
    walk = pgtable.walk(pgd, 0x1234)
    assert walk.physical == 0x5234 and walk.last.size == PAGE
    assert "PAT" in [name for name, _ in walk.last.flags()]
