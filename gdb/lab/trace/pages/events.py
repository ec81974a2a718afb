# SPDX-License-Identifier: GPL-2.0-only
"""The events of lab trace pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...result import Number, Size, Words
from ..event import Event


class BlockData(NamedTuple):
    """A block of 2**order page frames."""

    pfn: Number  # its first frame
    order: Number


class ZoneData(NamedTuple):
    """What became of the free lists of a zone during a call."""

    zone: Words
    free_before: list[Number]  # blocks of each order, by the kernel's own counters
    free_after: list[Number]
    gone: list[BlockData]  # blocks that were free before, by the marks in struct page
    new: list[BlockData]  # blocks that are free now


@dataclass(frozen=True, kw_only=True)
class PagesEvent(Event):
    """A request to the page allocator that has been answered."""

    order: Number
    context: Words  # in which it was made: process, softirq, hardirq, NMI
    callers: list[Words]  # functions outside the allocator, innermost first
    zones: list[ZoneData]  # those whose free lists changed, whoever did it


@dataclass(frozen=True, kw_only=True)
class Asked(PagesEvent):
    """A request for pages."""

    gfp: Number
    gfp_names: Words  # as %pGg prints them
    migratetype: Words
    asked: Size | None  # bytes, where the caller of the allocator is told them
    for_slab: bool  # it is a cache that asks


@dataclass(frozen=True, kw_only=True)
class Failed(Asked, timeline="pages", step="failed"):
    """A request that got nothing."""


@dataclass(frozen=True, kw_only=True)
class Allocated(Asked, timeline="pages", step="allocated"):
    """A block that was given."""

    pfn: Number
    zone: Words
    source: Words  # "free list", "refill", "per-CPU list" or "reclaim"
    block: BlockData | None  # the free block that it is a part of
    block_type: Words  # the migrate type of the list that block was the first of, else ""
    empty: list[Number]  # orders of which there was no block of the wanted type
    halves: list[BlockData]  # what of the block is free still, or again
    refill: Number  # pages that the CPU's list got besides


@dataclass(frozen=True, kw_only=True)
class BulkAllocated(Asked, timeline="pages", step="bulk"):
    """Single pages that were given all at once: __alloc_pages_bulk()."""

    wanted: Number
    given: Number
    pfns: list[Number]  # those that the caller has in an array


@dataclass(frozen=True, kw_only=True)
class Freed(PagesEvent, timeline="pages", step="freed"):
    """A block that was given back."""

    pfn: Number
    zone: Words
    to: Words  # "free list" or "per-CPU list"
    merged: list[BlockData]  # the buddies with which it became one block
    block: BlockData | None  # what it is a part of now, None on a per-CPU list
    drained: Number  # pages that the CPU's list gave back, when it was too long


@dataclass(frozen=True, kw_only=True)
class ListFreed(PagesEvent, timeline="pages", step="list freed"):
    """Single pages that were given back all at once: free_unref_page_list()."""

    pfns: list[Number]
    drained: Number  # pages that CPUs' lists gave back, when they were too long
