# SPDX-License-Identifier: GPL-2.0-only
"""struct page of compound pages, and what is mapped in an address space."""

from __future__ import annotations

import areas
import pytest

from lab.linux import mm_usage, page, pgtable, swapops
from lab.linux.structs.mm_types import MmStruct, Page
from lab.target import structs
from lab.target.cstruct import Ptr
from lab.target.memory import PAGE_PROTNONE
from made_up import PAGE, PAGE_OFFSET, SIZE, Guest

ORDER, POOL_ORDER = 2, 9


def mem_map(guest: Guest, pages: int) -> list[Ptr[Page]]:
    """Put so many zeroed struct pages into memory, as the kernel's array of them."""
    size = structs.sizeof("struct page")
    start = guest.room(pages * size, PAGE)
    guest.variable("vmemmap_base", start)
    return [Ptr[Page](start + size * number) for number in range(pages)]


def compound(guest: Guest, pages: list[Ptr[Page]], order: int) -> None:
    """Make one compound page of 2**order pages."""
    bit = structs.enumerators("enum pageflags")["PG_head"]
    guest.set("struct page", pages[0], "flags", 1 << bit)
    guest.set("struct page", pages[1], "compound_order", order)
    for tail in pages[1 : 1 << order]:
        guest.set("struct page", tail, "compound_head", pages[0] | 1)


def test_the_head_of_a_compound_page(guest: Guest) -> None:
    pages = mem_map(guest, 8)
    compound(guest, pages, ORDER)
    assert {page.compound_head(tail) for tail in pages[:4]} == {pages[0]}
    assert page.compound_head(pages[4]) == pages[4]
    assert page.compound_order(pages[0]) == ORDER
    assert page.page_to_pfn(page.pfn_to_page(5)) == 5


def test_a_head_that_is_mapped_again_is_none(guest: Guest) -> None:
    """A huge page of the pool whose struct pages were given back."""
    pages = mem_map(guest, 1 << POOL_ORDER)
    compound(guest, pages, POOL_ORDER)
    first = guest.read(pages[0], PAGE)
    for again in range(pages[0] + PAGE, pages[-1], PAGE):
        guest.write(again, first)
    heads = [frame for frame in pages if frame % PAGE == 0]
    assert len(heads) > 2
    assert {page.compound_head(frame) for frame in pages} == {pages[0]}


def test_a_page_of_the_pool(guest: Guest) -> None:
    pages = mem_map(guest, 4)
    compound(guest, pages, ORDER)
    assert page.is_huge(pages[0]) is False
    dtor = structs.enumerators("enum compound_dtor_id")["HUGETLB_PAGE_DTOR"]
    guest.set("struct page", pages[1], "compound_dtor", dtor)
    assert page.is_huge(pages[0]) is True


def test_a_page_that_prot_none_forbids_is_mapped(guest: Guest) -> None:
    """pte_present(): RSS counts it, fork() copies it, exit() frees it."""
    made = areas.space(guest, (0x1000, 0x5000))
    pgd = guest.table()
    guest.set("struct mm_struct", made.mm, "pgd", PAGE_OFFSET + pgd)
    for number in range(3):
        guest.map(pgd, 0x1000 + number * PAGE, SIZE - PAGE)
    table = pgtable.walk(pgd, 0x1000).last.table
    guest.entry(table, 2, PAGE_PROTNONE | ~(SIZE - PAGE) & 0xF_FFFF_FFFF_F000)
    guest.entry(table, 3, 2 << 59 | (~5 & (1 << 50) - 1) << 9)  # swapped out
    found = mm_usage.space(Ptr[MmStruct](made.mm))
    assert found.pages == 2 and found.mapped == {0x1000: 2}


def test_markers_are_one_type_since_v6_2(new: Guest) -> None:
    """v6.1 with userfaultfd has two more types, v6.2 one."""
    symbols = new.layout.symbols
    symbols.setdefault("userfaultfd_unmap_prep", symbols["linux_banner"])
    structs.forget()
    before = swapops.swap_types()
    symbols["pcpu_hot"] = symbols["linux_banner"]
    structs.forget()
    after = swapops.swap_types()
    assert len(after) == len(before) - 1
    assert [kind for kind, _ in before.values()][-2:] == ["marker", "marker"]
    assert [kind for kind, _ in after.values()][-2:] == ["migration", "marker"]


@pytest.mark.parametrize(
    ("level", "kind", "told"),
    [
        (3, "migration", "migration"),
        (3, "swap", "invalid"),
        (4, "migration", "invalid"),
        (2, "migration", "migration"),
    ],
)
def test_large_pages_that_are_elsewhere(
    guest: Guest, level: int, kind: str, told: str
) -> None:
    """A page of 1 GiB, which only the pool has, is migrated but never swapped out."""
    types = {name: number for number, (name, _) in swapops.swap_types().items()}
    number = types.get(kind, 1)
    value = number << 59 | (~0x1234 & (1 << 50) - 1) << 9
    entry = pgtable.Entry(level, pgtable.level_name(level), 0, 0, value)
    assert pgtable.kind(entry) == told
