# SPDX-License-Identifier: GPL-2.0-only
"""Page tables in made-up memory: a walk, all pages of a range, damaged tables."""

from __future__ import annotations

import pytest

from lab.linux import pagewalk, pgtable
from lab.target import kernel, structs
from lab.target.memory import PAGE_PROTNONE, PHYSICAL_MASK, Broken, Fault
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


def inverted(physical: int) -> int:
    """Make an entry of a PROT_NONE page: the frame's bits are stored inverted."""
    return ~physical & PHYSICAL_MASK | PAGE_PROTNONE


def test_a_page_without_rights(guest: Guest) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x1000, 0x5000)
    table = pgtable.walk(pgd, 0x1000).last.table
    guest.entry(table, 1, inverted(0x5000))
    walk = pgtable.walk(pgd, 0x1234)
    assert walk.physical is None and pgtable.kind(walk.last) == "protnone"
    assert walk.kept == 0x5234
    assert "page 0x5000 is kept" in pgtable.explain(walk.last)


def test_a_large_page_without_rights(guest: Guest) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x4000_0000, 0, level=2)
    table = pgtable.walk(pgd, 0x4000_0000).last.table
    guest.entry(table, 0, inverted(6 * TWO_MIB) | LARGE)
    walk = pgtable.walk(pgd, 0x4012_3456)
    assert (walk.physical, walk.kept) == (None, 6 * TWO_MIB + 0x12_3456)


@pytest.mark.parametrize("value", [0, 0x5000 | PRESENT])
def test_only_a_page_without_rights_is_kept(guest: Guest, value: int) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x1000, 0x5000)
    guest.entry(pgtable.walk(pgd, 0x1000).last.table, 1, value)
    assert pgtable.walk(pgd, 0x1000).kept is None


@pytest.mark.parametrize(
    ("level", "value", "kind"),
    [
        (1, 0, "none"),
        (1, inverted(0x5000), "protnone"),
        (2, inverted(TWO_MIB), "swap"),  # without PSE it is no page
        (2, inverted(TWO_MIB) | LARGE, "protnone"),
        (2, TWO_MIB | LARGE, "splitting"),
        (3, inverted(ONE_GIB) | LARGE, "protnone"),
        (3, 0x1000, "invalid"),
        (4, inverted(0) | LARGE, "invalid"),
    ],
)
def test_kinds_of_entries(guest: Guest, level: int, value: int, kind: str) -> None:
    entry = pgtable.Entry(level, pgtable.level_name(level), 0, 0, value)
    assert pgtable.kind(entry) == kind


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (1, "this page was never touched"),
        (2, "these 2 MiB were never touched"),
        (3, "these 1 GiB were never touched"),
        (4, "these 512 GiB were never touched"),
        (5, "these 256 TiB were never touched"),
    ],
)
def test_what_an_empty_entry_reaches(five: Guest, level: int, words: str) -> None:
    entry = pgtable.Entry(level, pgtable.level_name(level), 0, 0, 0)
    assert words in pgtable.explain(entry)


def test_a_walk_of_five_levels(five: Guest) -> None:
    pgd, address = five.table(), 0x00AB_CDEF_1234_5678
    five.map(pgd, address, 0x12_3000)
    walk = pgtable.walk(pgd, address)
    assert [entry.name for entry in walk.entries] == ["pgd", "p4d", "pud", "pmd", "pte"]
    shifts = (48, 39, 30, 21, 12)
    indices = [address >> shift & 511 for shift in shifts]
    assert [entry.index for entry in walk.entries] == indices
    assert [entry.size for entry in walk.entries] == [1 << shift for shift in shifts]
    assert walk.physical == 0x12_3678


def test_the_pages_of_five_levels(five: Guest) -> None:
    pgd = five.table()
    places = [0x1000, 1 << 40, 1 << 47, 1 << 48, (1 << 56) - PAGE]
    for place in places:
        five.map(pgd, place, 0x1000)
    five.map(pgd, 1 << 52, 0, level=3)
    found = pages(five, pgd, 0, 1 << 56)
    sizes = {place: PAGE for place in places} | {1 << 52: ONE_GIB}
    assert found == sorted(sizes.items())
    five.map(pgd, 0xFF11_0000_0000_1000, 0x3000, WRITE)
    start = 0xFF11_0000_0000_0000
    assert pages(five, pgd, start, start + TWO_MIB) == [(start + 0x1000, PAGE)]


def isolate(guest: Guest, bit: int = 7 * 32 + 11) -> None:
    """Set a feature of the processor, by default X86_FEATURE_PTI."""
    inside = structs.offsetof("struct cpuinfo_x86", "x86_capability")
    word, bit = divmod(bit, 32)
    place = structs.address_of("boot_cpu_data") + inside + 4 * word
    guest.write(place, (1 << bit).to_bytes(4, "little"))


def poisoned(guest: Guest, address: int) -> pgtable.Walk:
    """Walk to a page whose top-level entry alone has NX."""
    pgd = guest.table()
    guest.map(pgd, address, 0x5000)
    top = pgtable.walk(pgd, address).entries[0]
    guest.entry(pgd, top.index, top.value | NX)
    return pgtable.walk(pgd, address)


def test_nx_at_the_top_counts(guest: Guest) -> None:
    assert not pgtable.pti_is_on()
    assert poisoned(guest, 0x1000).rights() == "rw- user"


def test_nx_at_the_top_of_user_memory_with_isolated_tables(guest: Guest) -> None:
    """kernel_to_user_pgdp() has a copy without it, and user mode runs on that."""
    isolate(guest)
    assert pgtable.pti_is_on()
    assert poisoned(guest, 0x1000).rights() == "rwx user"
    assert poisoned(guest, 0x7FFF_FFFF_F000).rights() == "rwx user"
    assert poisoned(guest, 0xFFFF_C900_0000_0000).rights() == "rw- user"


@pytest.mark.parametrize("bit", [7 * 32 + 10, 7 * 32 + 12, 6 * 32 + 11, 8 * 32 + 11])
def test_another_feature_is_not_pti(guest: Guest, bit: int) -> None:
    isolate(guest, bit)
    assert not pgtable.pti_is_on()


def test_the_tables_of_user_mode_are_the_page_behind(guest: Guest) -> None:
    assert pgtable.user_copy(0x1234_4000) == 0x1234_5000


@pytest.mark.parametrize("key", [0, 1, 15])
def test_a_protection_key(guest: Guest, key: int) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x1000, 0x5000 | key << 59)
    assert pgtable.walk(pgd, 0x1000).last.pkey == key
    names = [name for name, _ in pgtable.walk(pgd, 0x1000).last.flags()]
    assert ("PKEY1" in names, "PKEY15" in names) == (key == 1, key == 15)


def test_names_of_flags(guest: Guest) -> None:
    pgd = guest.table()
    bits = sum(1 << bit for bit in (2, 3, 4, 5, 6, 8, 9, 10, 11, 58)) | NX
    guest.map(pgd, 0x1000, 0x5000, bits)
    names = [name for name, _ in pgtable.walk(pgd, 0x1000).last.flags()]
    assert " ".join(names) == (
        "P US PWT PCD A D G SPECIAL UFFD_WP SOFT_DIRTY DEVMAP NX"
    )
    guest.map(pgd, 0x4000_0000, TWO_MIB | 1 << 12, level=2)
    last = pgtable.walk(pgd, 0x4000_0000).last
    assert [name for name, _ in last.flags()] == ["P", "RW", "US", "PSE", "PAT"]
    assert last.target == TWO_MIB


def test_where_an_entry_is(guest: Guest) -> None:
    pgd = guest.table()
    guest.map(pgd, 0x3000, 0x5000)
    last = pgtable.walk(pgd, 0x3000).last
    assert last.address == last.table + 24 and last.index == 3


def test_a_pmd_table_that_two_areas_share(guest: Guest) -> None:
    """Huge pages of one file: huge_pmd_share(). A shared table of another level is damage."""
    pgd = guest.table()
    guest.map(pgd, 0x4000_0000, TWO_MIB, level=2)
    pud = pgtable.walk(pgd, 0x4000_0000).entries[1]
    guest.entry(pud.table, 2, pud.value)
    expected = [(0x4000_0000, TWO_MIB), (0x8000_0000, TWO_MIB)]
    assert pages(guest, pgd, 0, 1 << 47) == expected
    guest.map(pgd, 0xC000_0000, 0x5000)
    pmd = pgtable.walk(pgd, 0xC000_0000).entries[2]
    guest.entry(pmd.table, 1, pmd.value)
    with pytest.raises(Broken, match="pte table for 0xc0200000 .* comes again"):
        pages(guest, pgd, 0, 1 << 47)


def pieces(pgd: int, address: int, size: int) -> list[tuple[int, int, bytes, str]]:
    """Read a range; b"" stands for no bytes."""
    return [
        (piece.address, piece.size, piece.data or b"", piece.remark)
        for piece in pagewalk.pieces(pgd, address, size)
    ]


def test_bytes_of_a_range(guest: Guest) -> None:
    """What PROT_NONE hides is read as well, and for what is missing a reason is given."""
    pgd, frames = guest.table(), [guest.room(PAGE, PAGE) for _ in range(2)]
    for number, frame in enumerate(frames):
        guest.write(frame, b"%d" % number * PAGE)
        guest.map(pgd, 0x1000 * (number + 1), guest.physical(frame))
    table = pgtable.walk(pgd, 0x1000).last.table
    guest.entry(table, 2, inverted(guest.physical(frames[1])))
    guest.entry(table, 4, 1 << 45 | PRESENT)
    first, second, third, fourth = pieces(pgd, 0x1FFE, 2 * PAGE + 4)
    assert first == (0x1FFE, 2, b"00", "")
    assert second[:3] == (0x2000, PAGE, b"1" * PAGE) and "PROT_NONE" in second[3]
    assert third[:3] == (0x3000, PAGE, b"") and "never touched" in third[3]
    assert fourth[:3] == (0x4000, 2, b"") and "it is mapped, but" in fourth[3]
    guest.entry(pgd, 1, 1 << 45 | PRESENT)
    ((*_, remark),) = pieces(pgd, 1 << 39, 8)
    assert remark.startswith("the pud ")


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
