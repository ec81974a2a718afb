# SPDX-License-Identifier: GPL-2.0-only
"""Free objects, and what they held when they were freed: who writes to one later?

Every kfree() and kmem_cache_free() is seen, whoever calls it. Until an object is allocated
again only the allocator may write to it: the pointer to the next free object, where
`offset` says. So any other byte that differs, while the object is on a list of free ones,
was written by somebody who no longer owns it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Iterator

from ...linux import kmalloc, slub
from ...linux.callers import Caller
from ...linux.structs.slub import KmemCache
from ...target import kernel, structs
from ...target.memory import Broken, Fault

MOST_KEPT = 4096  # objects
MOST_HELD = 8192  # bytes of one
MOST_CHECKED = 32  # at each stop: the last freed
LINK = 8  # bytes of the pointer to the next free object
# Whose objects others may look at and lock while they are free; what SLUB itself fills
NOT_COMPARED = kmalloc.TYPESAFE_BY_RCU | kmalloc.POISON


@dataclass(frozen=True)
class FreeObject:
    """An object when it was freed."""

    address: int
    cache: KmemCache
    name: str
    number: int  # of the event
    callers: list[Caller]
    held: bytes  # empty if it is not to be compared


@dataclass(frozen=True)
class Written:
    """The bytes of a free object that were written."""

    to: FreeObject
    offset: int
    size: int


class FreeObjects:
    """The objects that were freed last."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, FreeObject] = OrderedDict()

    def get(self, address: int) -> FreeObject | None:
        """An object that was freed, None if that was not seen."""
        return self._known.get(address)

    def add(
        self, address: int, cache: KmemCache, name: str, number: int, by: list[Caller]
    ) -> None:
        """An object is freed. Raises memory.Fault."""
        held = b""
        if not cache.flags & NOT_COMPARED and not _init_on_free():
            held = kernel.memory().read(address, min(cache.object_size, MOST_HELD))
        self._known.pop(address, None)
        self._known[address] = FreeObject(
            address=address,
            cache=cache,
            name=name,
            number=number,
            callers=by,
            held=held,
        )
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)

    def drop(self, address: int) -> None:
        """An object is allocated."""
        self._known.pop(address, None)

    def written(self, most: int = MOST_CHECKED) -> Iterator[Written]:
        """Those of the last freed that were written to; each is told once.

        :param most: how many are looked at
        """
        last = [
            self._known[address]
            for address, _ in zip(reversed(self._known), range(most))
        ]
        for one in last:
            found = self._compare(one)
            if found is None:
                continue
            self.drop(one.address)
            if _is_free(one):
                yield Written(one, found[0], found[1] - found[0] + 1)

    def all_written(self) -> Iterator[Written]:
        """As written(), of all that are remembered."""
        yield from self.written(MOST_KEPT)

    def _compare(self, one: FreeObject) -> tuple[int, int] | None:
        """The first and the last byte that differs, None if none does."""
        if not one.held:
            return None
        try:
            now = kernel.memory().read(one.address, len(one.held))
        except Fault:
            return None
        if now == one.held:
            return None
        link = one.cache.offset or 0
        differ = [
            place
            for place, (old, new) in enumerate(zip(one.held, now))
            if old != new and not link <= place < link + LINK
        ]
        return (differ[0], differ[-1]) if differ else None


def _is_free(one: FreeObject) -> bool:
    """Is it still on a list of free objects of its cache?

    If the write has cut the list, it leads to this object still.
    """
    try:
        found = slub.virt_to_slab(one.address)
        if found is None or found[0].address != one.cache.address:
            return False
        slab = slub.free_list(*found)
    except (Broken, Fault):
        return False
    return slub.object_number(one.cache, slab, one.address) in slab.numbers


@structs.cached
def _has_init_on_free() -> bool:
    return structs.has_symbol("init_on_free")


def _init_on_free() -> bool:
    """Does the allocator clear what is freed: the static key init_on_free?"""
    if not _has_init_on_free():
        return False
    return bool(kernel.memory().u64(structs.address_of("init_on_free")) & 0xFFFF_FFFF)
