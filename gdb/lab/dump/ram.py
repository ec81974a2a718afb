# SPDX-License-Identifier: GPL-2.0-only
"""All of the guest's RAM: where it is, and which of its pages are not zeros."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Iterator

from ..linux import resource
from ..target import kernel
from ..target.memory import PAGE_SIZE
from ..target.ram_file import RamFile

STEP = 1 << 20
SYSTEM_RAM = "System RAM"  # in iomem_resource
ZEROS = bytes(STEP)
ZERO_PAGE = bytes(PAGE_SIZE)


@dataclass(frozen=True)
class Range:
    """Guest-physical addresses from start up to, and without, end."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def ranges() -> list[Range]:
    """Where RAM is, lowest first.

    QEMU tells where the RAM file is mapped. Without one it is the System RAM in the
    kernel's iomem_resource, which leaves out what the firmware reserved. Raises Broken,
    memory.Fault.
    """
    physical = kernel.memory().physical
    if isinstance(physical, RamFile):
        return [Range(block.start, block.end) for block in physical.blocks]
    return [
        Range(part.start, part.end + 1)
        for part in resource.for_each_resource()
        if part.name == SYSTEM_RAM and part.depth == 0
    ]


def contents(ram: Range) -> Iterator[tuple[int, bytes]]:
    """The contents of a range, in pieces: physical address and bytes.

    Pages of zeros are left out, so that holes in the RAM file, which are pages that the
    guest never touched, cost nothing. The last piece is empty: it says that all of the
    range has been read. Raises memory.Fault.
    """
    for part in _touched(ram):
        for at in range(part.start, part.end, STEP):
            size = min(STEP, part.end - at)
            yield from _pages(at, _read(at, size))
    yield ram.end, b""


def _read(address: int, size: int) -> bytes:
    buffer, offset = kernel.memory().physical.locate(address, size)
    return buffer[offset : offset + size]


def _pages(address: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """The runs of pages that are not zero."""
    if data == ZEROS[: len(data)]:
        return
    start = None
    for at in range(0, len(data), PAGE_SIZE):
        page = data[at : at + PAGE_SIZE]
        if page == ZERO_PAGE[: len(page)]:
            if start is not None:
                yield address + start, data[start:at]
            start = None
        elif start is None:
            start = at
    if start is not None:
        yield address + start, data[start:]


def _touched(ram: Range) -> Iterator[Range]:
    """The parts of a range for which the RAM file has data, not a hole.

    The file itself is asked: reading a hole through the mapping would fill it.
    """
    physical = kernel.memory().physical
    if not isinstance(physical, RamFile):
        yield ram
        return
    block = next(block for block in physical.blocks if block.start == ram.start)
    moved = block.start - block.offset
    end = ram.end - moved
    with open(physical.path, "rb") as file:
        at = block.offset
        while at < end:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return  # a hole up to the end of the file
            at = min(os.lseek(file.fileno(), start, os.SEEK_HOLE), end)
            if start < end:
                yield Range(start + moved, at + moved)
