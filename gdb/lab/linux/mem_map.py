# SPDX-License-Identifier: GPL-2.0-only
"""All struct page at once, as arrays: for what is asked of every page frame."""

from __future__ import annotations

from dataclasses import dataclass

from ..arrays import Bools, Int32s, Uint8s, Uint64s, np
from ..target import kernel, structs
from ..target.memory import PAGE_SIZE, Broken, Fault, Stub
from . import page, pagewalk, pgtable, regions

MOST_FRAMES = 1 << 24  # of a guest without a RAM file: 64 GiB


class MemMap:
    """The words of all struct page, one row each, and which of them there are."""

    def __init__(self, words: Uint64s, there: Bools, is_live: bool = False) -> None:
        self.words = words
        self.there = there  # False where no struct page is mapped
        self.is_live = is_live  # no copy: shows what is in RAM now

    def word(self, member: str, kind: str = "struct page") -> Uint64s:
        """The 64-bit word that a member starts in, of all frames.

        :param member: must be aligned to 8 bytes
        """
        offset = structs.offsetof(kind, member)
        assert offset % 8 == 0, f"{member} is not a word of its own"
        column: Uint64s = self.words[:, offset // 8]
        return column

    def has(self, name: str) -> Bools:
        """Which frames have a flag, such as "slab"."""
        bit = np.uint64(structs.enumerators("enum pageflags")[f"PG_{name}"])
        found: Bools = self.word("flags") >> bit & np.uint64(1) != 0
        return found

    def int32(self, member: str, kind: str = "struct page") -> Int32s:
        """A member of 4 bytes, of all frames."""
        offset = structs.offsetof(kind, member)
        halves = self.words.view(np.int32)
        column: Int32s = halves[:, offset // 4]
        return column


def _count() -> int:
    """How many frames there are: max_pfn. Raises Broken if that cannot be."""
    count, physical = regions.max_pfn(), kernel.memory().physical
    most = MOST_FRAMES
    if not isinstance(physical, Stub):
        most = -(-max(block.end for block in physical.blocks) // PAGE_SIZE)
    if count > most:
        raise Broken(
            f"max_pfn is {count:#x}, but no RAM has more than {most:#x} frames"
        )
    return count


def mem_map() -> MemMap:
    """Read all struct page: up to max_pfn.

    :raises Fault: a page table cannot be read
    :raises Broken: a page table lies outside of RAM, or max_pfn is damaged
    """
    size = structs.sizeof("struct page")
    count = _count()
    start = page.vmemmap()
    end = -(-(start + count * size) // PAGE_SIZE) * PAGE_SIZE
    pieces = _pieces(start, end)
    whole = len(pieces) == 1 and len(pieces[0].data) == end - start
    if whole:
        data = pieces[0].data  # all in one piece, as the kernel makes it: no copy
        there = np.ones(count, np.bool_)
    else:
        data, there = np.zeros(end - start, np.uint8), np.zeros(count, np.bool_)
        for piece in pieces:
            data[piece.offset : piece.offset + len(piece.data)] = piece.data
            first = -(-piece.offset // size)
            there[first : (piece.offset + len(piece.data)) // size] = True
    words = data[: count * size].view(np.uint64).reshape(count, size // 8)
    physical = kernel.memory().physical
    return MemMap(words, there, whole and not isinstance(physical, Stub))


@dataclass
class _Piece:
    """A part of the array that lies in one piece in memory."""

    offset: int  # in the array
    data: Uint8s


def _pieces(start: int, end: int) -> list[_Piece]:
    """The mapped parts of a range of addresses, each as long as can be. Raises Broken."""
    guest = kernel.memory()
    runs: list[tuple[int, int, int]] = []  # address, physical address, size
    for address, room, level, value in pagewalk.walk_page_range(
        guest.kernel_pgd, start, end
    ):
        entry = pgtable.Entry(level, "", 0, 0, value)
        if not entry.is_present:
            continue
        low, high = max(address, start), min(address + room, end)
        physical, size = entry.target + low - address, high - low
        if runs:
            before, its, length = runs[-1]
            if before + length == low and its + length == physical:
                runs[-1] = before, its, length + size
                continue
        runs.append((low, physical, size))
    found = []
    for address, physical, size in runs:
        try:
            buffer, at = guest.physical.locate(physical, size)
        except Fault:
            continue  # damaged: points outside of RAM
        data = np.frombuffer(buffer, np.uint8, size, at)
        found.append(_Piece(address - start, data))
    return found
