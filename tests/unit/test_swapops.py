# SPDX-License-Identifier: GPL-2.0-only
"""Page-table entries for pages that are not present: include/linux/swap.h has the types."""

from __future__ import annotations

import pytest

from lab.linux import swapops
from made_up import Guest

WORD = (1 << 64) - 1


def entry(kind: int, offset: int) -> int:
    """Make an entry as __swp_entry() of arch/x86/include/asm/pgtable_64.h does."""
    return (~offset << 14 & WORD) >> 5 | kind << 59


def only(guest: Guest, *symbols: str) -> None:
    """Leave the kernel only these of the symbols that tell which types it has."""
    for name in (
        *("memory_failure", "migrate_pages", "migrate_vma_setup", "pcpu_hot"),
        *("make_device_exclusive_range", "userfaultfd_unmap_prep"),
    ):
        if name in symbols:
            guest.symbol(name)
        else:
            guest.without_symbol(name)


def kinds() -> list[str]:
    """Return the kinds of all 32 types but the lowest, which are swap areas."""
    found = swapops.swap_types()
    assert sorted(found) == list(range(32 - len(found), 32))
    return [found[number][0] for number in sorted(found)]


@pytest.mark.parametrize("kind", [0, 1, 5, 27])
@pytest.mark.parametrize("offset", [0, 1, 0x1234, (1 << 50) - 1])
def test_a_page_that_is_swapped_out(guest: Guest, kind: int, offset: int) -> None:
    found = swapops.pte_to_swp_entry(entry(kind, offset))
    assert (found.type, found.offset, found.kind) == (kind, offset, "swap")
    assert found.pfn is None
    words = f"swapped out: slot {offset} of swap area {kind}"
    assert swapops.explain(entry(kind, offset)) == words


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ([], []),
        (["memory_failure"], ["hwpoison"]),
        (["migrate_pages"], ["migration"] * 2),
        (["migrate_vma_setup"], ["device"] * 2),
        (["make_device_exclusive_range"], ["device"] * 4),
        (
            ["memory_failure", "migrate_pages", "migrate_vma_setup"],
            ["hwpoison", "migration", "migration", "device", "device"],
        ),
    ],
)
def test_the_types_of_5_10(old: Guest, symbols: list[str], expected: list[str]) -> None:
    only(old, *symbols)
    assert kinds() == expected


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ([], ["marker"]),
        (["userfaultfd_unmap_prep"], ["marker"] * 2),
        (["migrate_pages"], ["migration"] * 3 + ["marker"]),
        (["migrate_vma_setup"], ["marker"]),
        (["make_device_exclusive_range"], ["device"] * 4 + ["marker"]),
        (["memory_failure"], ["hwpoison", "marker"]),
    ],
)
def test_the_types_of_6_1(new: Guest, symbols: list[str], expected: list[str]) -> None:
    """v5.19 added exclusive pages and errors of reading from swap."""
    only(new, *symbols)
    assert kinds() == expected


def test_which_migration_it_is(guest: Guest) -> None:
    only(guest, "migrate_pages")
    names = [name for kind, name in swapops.swap_types().values() if kind != "marker"]
    assert [name.removesuffix(" page that is being moved") for name in names] == (
        ["readable", "writable"]
        if guest.layout.kernel == "5.10.223"
        else ["readable", "readable and exclusive", "writable"]
    )


@pytest.mark.parametrize("symbol", ["memory_failure", "migrate_pages"])
def test_the_frame_in_an_entry(guest: Guest, symbol: str) -> None:
    """In v6.1, bits above the frame's 34 tell whether the page was accessed and is dirty."""
    only(guest, symbol)
    number = min(swapops.swap_types())
    value = entry(number, 1 << 34 | 1 << 35 | 0x3_1234_5678)
    found = swapops.pte_to_swp_entry(value)
    assert found.pfn == 0x3_1234_5678
    assert f": frame 0x312345678 (type {number})" in swapops.explain(value)


def test_a_frame_where_physical_addresses_have_52_bits(five: Guest) -> None:
    only(five, "migrate_pages")
    number = min(swapops.swap_types())
    frame = (1 << 40) - 1
    assert swapops.pte_to_swp_entry(entry(number, 1 << 40 | frame)).pfn == frame


def test_a_marker_has_no_frame(new: Guest) -> None:
    value = entry(31, 3)
    assert swapops.pte_to_swp_entry(value).pfn is None
    words = "the page could not be read from swap (type 31, offset 0x3)"
    assert swapops.explain(value) == words
