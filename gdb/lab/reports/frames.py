# SPDX-License-Identifier: GPL-2.0-only
"""A census: every page frame of RAM and its one owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple

from ..arrays import np
from ..linux import census, mmzone, startup
from ..linux.census import Census
from ..result import Check, Drawing, Number, Report, Size, Table, Words
from ..sizes import counted, rough_size
from ..target.memory import PAGE_SIZE

LINE = 64  # cells in a line of the map
LINES = 32  # at most
LETTERS = {
    census.NO_RAM: " ",
    census.IMAGE: "K",
    census.RESERVED: "R",
    census.FREE: ".",
    census.PER_CPU_LIST: ",",
    census.SLAB: "S",
    census.PAGE_TABLE: "P",
    census.STACK: "T",
    census.MODULE: "M",
    census.PERCPU: "U",
    census.VMALLOC: "V",
    census.HUGE: "H",
    census.ANONYMOUS: "A",
    census.PAGE_CACHE: "F",
    census.ZERO: "0",
    census.MOVABLE: "D",
    census.KERNEL: "k",
}


class OwnerRow(NamedTuple):
    """A kind of owner."""

    letter: Words  # in the map
    owner: Words
    frames: Number
    size: Size


class DetailRow(NamedTuple):
    """One owner of a kind: a cache, a process, a file, ..."""

    owner: Words
    whose: Words
    frames: Number
    size: Size


class SumRow(NamedTuple):
    """A sum that must be right."""

    what: Words
    counted_: Number
    kernel: Number
    agrees: Check


@dataclass
class FramesReport(Report, schema="frames"):
    """Who owns how much of RAM, a map of it, and the largest owners."""

    owners: Table[OwnerRow]
    sums: Table[SumRow]
    map: Drawing[dict[str, Any]]
    details: Table[DetailRow]


def describe() -> FramesReport:
    """Ask for each frame. Raises memory.Fault, Broken if struct page cannot be read."""
    startup.need_page_allocator()
    found = census.census()
    owners = Table(OwnerRow, "", broken="; ".join(found.troubles))
    sums = found.sums()
    for kind, name in census.NAMES.items():
        if sums[kind]:
            row = OwnerRow(LETTERS[kind], name, sums[kind], sums[kind] * PAGE_SIZE)
            owners.rows.append(row)
    details = Table(DetailRow, "whose they are")
    for (kind, whose), frames in found.details.most_common():
        size = frames * PAGE_SIZE
        details.rows.append(DetailRow(census.NAMES[kind], whose, frames, size))
    return FramesReport(owners, _sums(found, sums), _map(found), details)


def _sums(found: Census, sums: dict[int, int]) -> Table[SumRow]:
    """All frames, and those that the zones count as free."""
    zones = list(mmzone.for_each_populated_zone())
    present = sum(zone.present_pages for zone in zones)
    free = sum(
        mmzone.zone_page_state(zone, "NR_FREE_PAGES") + mmzone.pending_free(zone)
        for zone in zones
    )
    lists = sum(pageset.count for zone in zones for pageset in mmzone.pagesets(zone))
    table = Table(SumRow, "sums")
    for what, here, there in (
        ("frames of RAM: present pages of all zones", found.frames, present),
        ("free: NR_FREE_PAGES", sums[census.FREE], free),
        ("on lists of CPUs: per_cpu_pages.count", sums[census.PER_CPU_LIST], lists),
    ):
        differs = f"differs by {abs(here - there)}"
        table.rows.append(SumRow(what, here, there, here == there or differs))
    return table


def _map(found: Census) -> Drawing[dict[str, Any]]:
    """RAM to scale: each cell shows who has most of its frames."""
    frames = len(found.owner)
    each = 1
    while frames > each * LINE * LINES:
        each *= 2
    title = f"RAM, {rough_size(each * PAGE_SIZE)} a cell: who has most of it"
    cells = []
    for start in range(0, frames, each):
        counts = np.bincount(found.owner[start : start + each])
        cells.append(LETTERS[int(counts.argmax())])
    lines = list(_lines("".join(cells), each))
    data = {"frames_per_cell": each, "cells": "".join(cells)}
    return Drawing(title, lines, data)


def _lines(cells: str, each: int) -> Iterator[str]:
    for at in range(0, len(cells), LINE):
        address = at * each * PAGE_SIZE
        yield f"{address:#012x}  {cells[at : at + LINE]}".rstrip()
    yield f"{counted(len(cells), 'cell')}; letters as above"
