# SPDX-License-Identifier: GPL-2.0-only
"""The free blocks at a stop, and what became of them until the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Sequence

from ...linux import gfp, mmzone
from ...linux.free_blocks import Block, FreeBlocks, first_of_cpu, zone_with
from ...linux.mem_map import mem_map
from ...linux.structs.mmzone import Zone
from .events import BlockData, ZoneData


@dataclass(frozen=True)
class Changed:
    """What became of the free lists during a call, whoever did it."""

    zones: list[ZoneData]
    gone: list[Block]
    new: list[Block]

    def of(self, zone: str) -> tuple[list[BlockData], list[BlockData]]:
        """Which blocks of a zone are free no more, and which are now."""
        found = next((data for data in self.zones if data.zone == zone), None)
        return (found.gone, found.new) if found else ([], [])

    def taken(self, zone: str) -> int:
        """How many pages fewer a zone has free: negative if more."""
        gone, new = self.of(zone)
        return sum(1 << b.order for b in gone) - sum(1 << b.order for b in new)


class Eyes:
    """Sees the free blocks. What does not change in a run is read once."""

    def __init__(self) -> None:
        """Raises memory.Fault, Broken, Missing."""
        self.zones: list[Zone] = list(mmzone.for_each_populated_zone())
        self.names = list(map(mmzone.zone_name, self.zones))
        self.flags = gfp.names()
        self._types = mmzone.migratetype_names()
        self._pages = mem_map()

    def look(self) -> FreeBlocks:
        """The free blocks now. Raises memory.Fault, Broken."""
        if not self._pages.is_live:
            self._pages = mem_map()
        return FreeBlocks(self.zones, self._pages)

    def first_of_cpu(self, cpu: int) -> set[int]:
        """The first frame of each list that a CPU has. Raises memory.Fault."""
        return set().union(*(first_of_cpu(zone, cpu) for zone in self.zones))

    def type(self, number: int) -> str:
        """The name of a migrate type."""
        known = 0 <= number < len(self._types)
        return self._types[number] if known else f"type {number}"

    def zone(self, pfn: int) -> tuple[int | None, str]:
        """Which zone spans a frame, and its name; "" if none does."""
        number = zone_with(self.zones, pfn)
        return number, "" if number is None else self.names[number]

    def changed(self, before: FreeBlocks, after: FreeBlocks) -> Changed:
        """What became of the free lists of each zone that changed."""
        gone, new = before.without(after), after.without(before)
        found = []
        for number, name in enumerate(self.names):
            was, now = before.lists[number], after.lists[number]
            data = ZoneData(
                zone=name,
                free_before=list(was.nr_free),
                free_after=list(now.nr_free),
                gone=self._inside(gone, number),
                new=self._inside(new, number),
            )
            if data.gone or data.new or data.free_before != data.free_after:
                found.append(data)
        return Changed(found, gone, new)

    def _inside(self, blocks: Sequence[Block], zone: int) -> list[BlockData]:
        return data_of(b for b in blocks if zone_with(self.zones, b.pfn) == zone)


def data_of(blocks: Iterable[Block]) -> list[BlockData]:
    """Blocks as JSON has them."""
    return [BlockData(pfn=block.pfn, order=block.order) for block in blocks]
