# SPDX-License-Identifier: GPL-2.0-only
"""Free blocks of two moments, names of gfp flags, names of callers."""

from __future__ import annotations

import pytest

from lab.arrays import np
from lab.linux import gfp
from lab.linux.callers import Caller, by, outside, short
from lab.linux.free_blocks import Block, FreeBlocks, buddies
from lab.linux.mem_map import MemMap
from lab.target import structs
from made_up import Guest

BUDDY, NOBODY = 0xFFFF_FF7F, 0xFFFF_FFFF  # page_type of a free block; no mapcount
FLAGS = [(0xCC0, "GFP_KERNEL"), (0x100, "__GFP_ZERO"), (0x40, "__GFP_IO")]


def blocks(*marked: tuple[int, int]) -> FreeBlocks:
    """64 frames, of which some are marked as the first ones of free blocks."""
    size = structs.sizeof("struct page")
    words = np.zeros((64, size // 8), np.uint64)
    halves = words.view(np.uint32)
    halves[:, structs.offsetof("struct page", "_mapcount") // 4] = NOBODY
    for pfn, order in marked:
        halves[pfn, structs.offsetof("struct page", "_mapcount") // 4] = BUDDY
        words[pfn, structs.offsetof("struct page", "private") // 8] = order
    return FreeBlocks([], MemMap(words, np.ones(64, np.bool_)))


def test_the_block_around_a_frame(guest: Guest) -> None:
    found = blocks((8, 3), (32, 4))
    inside = {pfn: found.around(pfn) for pfn in range(64)}
    assert [pfn for pfn in inside if inside[pfn] == Block(8, 3)] == list(range(8, 16))
    assert [pfn for pfn in inside if inside[pfn] == Block(32, 4)] == list(range(32, 48))
    assert sum(block is None for block in inside.values()) == 64 - 8 - 16


def test_what_changed(guest: Guest) -> None:
    before, after = blocks((0, 5)), blocks((8, 3), (16, 4))
    assert before.without(after) == [Block(0, 5)]
    assert after.without(before) == [Block(8, 3), Block(16, 4)]
    assert before.without(before) == []


def test_an_order_that_cannot_be(guest: Guest) -> None:
    """A damaged struct page is no block, whatever it says."""
    for order in (63, 64, 1 << 32, (1 << 64) - 1):
        assert blocks((4, order), (8, 1)).without(blocks()) == [Block(8, 1)]


def test_buddies(guest: Guest) -> None:
    before = blocks((9, 0), (10, 1), (12, 2), (32, 3))
    assert buddies(Block(8, 0), Block(8, 3), before) == [
        Block(9, 0),
        Block(10, 1),
        Block(12, 2),
    ]
    assert buddies(Block(8, 0), Block(8, 0), before) == []
    # Not all of it was free before: what was not is no buddy that it was merged with
    assert buddies(Block(8, 0), Block(8, 3), blocks((9, 0))) == [Block(9, 0)]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (0, "none"),
        (0xCC0, "GFP_KERNEL"),
        (0xDC0, "GFP_KERNEL|__GFP_ZERO"),
        (0x40, "__GFP_IO"),
        (0x8040, "__GFP_IO|0x8000"),
    ],
)
def test_flags(flags: int, text: str) -> None:
    assert gfp.format_flags(flags, FLAGS) == text


def test_names_of_callers() -> None:
    assert short("vfs_read+0x1b/0x60") == "vfs_read()"
    assert short("lab_init+0x1b/0x60 [lab_pages]") == "lab_init() of lab_pages"
    assert short("0xffffffff81000000") == "0xffffffff81000000"
    inner, outer = Caller("kfree+0x1/0x2", "/x/mm/slub.c"), Caller(
        "f+0x1/0x2", "/x/f.c"
    )
    assert outside([inner, inner, outer, inner], ("/mm/slub.c",)) == [outer, inner]
    assert outside([inner], ("/mm/slub.c",)) == []
    assert by([outer, inner]) == "; by f() < kfree()" and by([]) == ""
