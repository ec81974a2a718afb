# SPDX-License-Identifier: GPL-2.0-only
"""The events of lab trace slab."""

from __future__ import annotations

from dataclasses import dataclass

from ...result import Address, Number, Size, Words
from ..event import Event


@dataclass(frozen=True, kw_only=True)
class SlabEvent(Event):
    """What became of objects of a cache."""

    cache: Words  # "" if kmalloc() asked the page allocator
    context: Words  # in which it was done: process, softirq, hardirq, NMI
    callers: list[Words]  # functions outside the allocator, innermost first


@dataclass(frozen=True, kw_only=True)
class Asked(SlabEvent):
    """A request for objects."""

    asked: Size | None  # bytes of one; null if the size was a constant, and is not passed
    gfp: Number
    gfp_names: Words  # as %pGg prints them


@dataclass(frozen=True, kw_only=True)
class Failed(Asked, timeline="slab", step="failed"):
    """A request that got nothing."""


@dataclass(frozen=True, kw_only=True)
class Allocated(Asked, timeline="slab", step="allocated"):
    """An object that was given."""

    object: Address
    given: Size  # that may be used: ksize()
    wasted: Size | None  # of these
    new_slab: bool  # one was made for it


@dataclass(frozen=True, kw_only=True)
class BulkAllocated(Asked, timeline="slab", step="bulk allocated"):
    """Objects that were given all at once: kmem_cache_alloc_bulk()."""

    objects: list[Address]
    given: Size  # bytes of one that may be used
    new_slab: bool


@dataclass(frozen=True, kw_only=True)
class Freed(SlabEvent, timeline="slab", step="freed"):
    """An object that is given back."""

    object: Address
    given: Size
    allocated: Number  # the event in which it was allocated, 0 if that was before


@dataclass(frozen=True, kw_only=True)
class BulkFreed(SlabEvent, timeline="slab", step="bulk freed"):
    """Objects that are given back all at once: kmem_cache_free_bulk()."""

    objects: list[Address]


@dataclass(frozen=True, kw_only=True)
class DoubleFree(SlabEvent, timeline="slab", step="double free"):
    """An object is given back that is free already."""

    object: Address
    number: Number  # of the object in its slab
    freed: Number  # the event in which it was freed, 0 if that was before
    freed_by: list[Words]  # the callers then


@dataclass(frozen=True, kw_only=True)
class UseAfterFree(SlabEvent, timeline="slab", step="use after free"):
    """A free object does not hold any more what it held when it was freed."""

    object: Address
    offset: Number  # of the first byte that was written
    size: Size  # from that byte to the last one that was
    freed: Number  # the event in which it was freed
    freed_by: list[Words]


@dataclass(frozen=True, kw_only=True)
class NewSlab(SlabEvent, timeline="slab", step="new slab"):
    """A cache gets a slab of the page allocator."""

    pfn: Number
    order: Number
    objects: Number


@dataclass(frozen=True, kw_only=True)
class SlabFreed(SlabEvent, timeline="slab", step="slab freed"):
    """A cache gives a slab back to the page allocator."""

    pfn: Number
    order: Number
