# SPDX-License-Identifier: GPL-2.0-only
"""What kmalloc() gives: include/linux/slab.h, mm/slab_common.c, mm/slub.c."""

from __future__ import annotations

from dataclasses import dataclass

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.memory import PAGE_SIZE, Broken, Fault
from . import buddy, slub
from .structs.slub import KmemCache

SIZES_BY_TABLE = 192  # larger requests go by powers of two
RED_ZONE, POISON, STORE_USER, TYPESAFE_BY_RCU = 0x400, 0x800, 0x10000, 0x80000
structs.expect("kmalloc_caches")


@dataclass(frozen=True)
class Given:
    """What serves a request."""

    cache: str  # "" if the page allocator serves it, or nothing has to
    given: int  # bytes that can be used: ksize()
    order: int | None  # of the page allocator's block; None if a cache serves it


def max_size() -> int:
    """KMALLOC_MAX_SIZE: the largest request, in bytes."""
    return PAGE_SIZE << buddy.nr_orders() - 1


def max_cache_size() -> int:
    """KMALLOC_MAX_CACHE_SIZE: the largest that a cache serves, in bytes."""
    return 1 << _columns() - 1


def _columns() -> int:
    """How many sizes there are: KMALLOC_SHIFT_HIGH + 1."""
    types = structs.enumerators("enum kmalloc_cache_type")["NR_KMALLOC_TYPES"]
    return structs.variable_size("kmalloc_caches") // 8 // types


def get_order(size: int) -> int:
    """The order of the smallest block of pages that a number of bytes fits in."""
    return (max(size - 1, 0) // PAGE_SIZE).bit_length()


def caches() -> list[KmemCache | None]:
    """The caches of plain requests, by index: kmalloc_caches[KMALLOC_NORMAL].

    :raises Refused: the kernel has another allocator
    :raises Broken: one cannot be read
    """
    slub.check_slub()
    guest, found = kernel.memory(), []
    place = structs.address_of("kmalloc_caches")
    for number in range(_columns()):
        cache = guest.u64(place + 8 * number)
        try:
            found.append(KmemCache(guest, Ptr[KmemCache](cache)) if cache else None)
        except Fault as fault:
            raise Broken(
                f"kmalloc_caches[0][{number}] is {cache:#x}, which is no cache: {fault}"
            ) from None
    return found


def kmalloc_index(size: int) -> int:
    """Which of caches() serves a request of up to max_cache_size() bytes.

    Raises memory.Fault.
    """
    if size > SIZES_BY_TABLE:
        return (size - 1).bit_length()
    names = ("size_index", "kmalloc_size_index")  # renamed in v6.8 (5a9d31d980cb)
    table = next((name for name in names if structs.has_symbol(name)), "")
    if not table:
        raise Refused("This kernel has no table of the sizes of kmalloc().")
    place = structs.address_of(table) + (size - 1) // 8
    return kernel.memory().read(place, 1)[0]


def ksize(cache: KmemCache) -> int:
    """The bytes of an object that may be used: slab_ksize()."""
    if cache.flags & (RED_ZONE | POISON):
        return cache.object_size
    if cache.flags & (TYPESAFE_BY_RCU | STORE_USER) and cache.inuse is not None:
        return cache.inuse
    return cache.size


def given(size: int, known: list[KmemCache | None] | None = None) -> Given | None:
    """What kmalloc(size, GFP_KERNEL) gives; None if that fails, however much is free.

    Raises Broken, memory.Fault.

    :param known: caches(), where they were read already
    """
    if size > max_size():
        return None
    if not size:
        return Given("", 0, None)  # ZERO_SIZE_PTR
    if size > max_cache_size():
        order = get_order(size)
        return Given("", PAGE_SIZE << order, order)
    index = kmalloc_index(size)
    every = caches() if known is None else known
    cache = every[index] if index < len(every) else None
    if cache is None:
        raise Broken(f"there is no cache for {size} bytes: kmalloc_caches[0][{index}]")
    return Given(slub.cache_name(cache), ksize(cache), None)
