# SPDX-License-Identifier: GPL-2.0-only
"""The slab allocator SLUB: mm/slub.c."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import Iterator

from ..arrays import np
from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.memory import PAGE_SIZE, Broken, Fault
from . import lists, page, processors
from .mem_map import MemMap, mem_map
from .structs.lib import ListHead
from .structs.mm_types import Page
from .structs.slub import KmemCache, KmemCacheCpu, KmemCacheNode, Slab, SlabPage

OO_SHIFT = 16
PAGE_SHIFT = 12
MAX_OBJS_PER_PAGE = 32767
MOST_PARTIAL = 1 << 16  # slabs a CPU can have in its list
FLAGS = {  # include/linux/slab.h
    **{0x100: "CONSISTENCY_CHECKS", 0x400: "RED_ZONE", 0x800: "POISON"},
    **{0x1000: "KMALLOC", 0x2000: "HWCACHE_ALIGN", 0x4000: "CACHE_DMA"},
    **{0x8000: "CACHE_DMA32", 0x10000: "STORE_USER", 0x20000: "RECLAIM_ACCOUNT"},
    **{0x40000: "PANIC", 0x80000: "TYPESAFE_BY_RCU", 0x100000: "MEM_SPREAD"},
    **{0x200000: "TRACE", 0x400000: "DEBUG_OBJECTS", 0x800000: "NOLEAKTRACE"},
    **{0x2000000: "FAILSLAB", 0x4000000: "ACCOUNT", 0x8000000: "KASAN"},
}
structs.expect("slab_caches")


@dataclass(frozen=True)
class Use:
    """How much of a cache is in use, as /proc/slabinfo counts it."""

    nr_slabs: int
    num_objs: int
    partial_free: int  # free objects in the partial slabs of nodes

    @property
    def active_objs(self) -> int:
        """As in /proc/slabinfo: what CPUs keep free counts as in use."""
        return self.num_objs - self.partial_free


@dataclass(frozen=True)
class SlabOf:
    """A slab: pages cut into objects."""

    page: Ptr[Page]
    start: int  # where its memory is, in the direct map
    order: int
    objects: int
    inuse: int  # not on the slab's own list: those a CPU keeps free are among them
    frozen: bool
    where: str  # "CPU 0", "partial of CPU 0", "partial of node 0", "full"
    free: frozenset[int] = field(default_factory=frozenset)  # numbers of free objects


def check_slub() -> None:
    """Refuse a kernel with another slab allocator."""
    if structs.has_member("struct kmem_cache", "cpu_cache"):
        raise Refused(
            "This kernel's slab allocator is SLAB (removed in Linux 6.8, 16a1d968358a): the "
            "lab reads SLUB, the default."
        )
    if not structs.has_member("struct kmem_cache", "oo"):
        raise Refused(
            "This kernel's slab allocator is SLOB (removed in Linux 6.4, c9929f0e344a), "
            "which has no caches: the lab reads SLUB, the default."
        )


def for_each_cache() -> Iterator[KmemCache]:
    """All caches: slab_caches. Raises Broken, memory.Fault."""
    check_slub()
    head = Ptr[ListHead](structs.address_of("slab_caches"))
    for place in lists.list_for_each_entry(head, KmemCache, "list"):
        try:
            yield KmemCache(kernel.memory(), place)
        except Fault as fault:
            raise Broken(f"the cache at {place:#x} cannot be read: {fault}") from None


def cache_name(cache: KmemCache) -> str:
    """A cache's name, escaped. Raises memory.Fault."""
    return text_of(kernel.memory().read_string(cache.name, 256))


def oo_order(cache: KmemCache) -> int:
    """The order of the pages that a new slab gets."""
    assert cache.oo is not None
    return cache.oo >> OO_SHIFT


def oo_objects(cache: KmemCache) -> int:
    """How many objects a new slab has."""
    assert cache.oo is not None
    return cache.oo & (1 << OO_SHIFT) - 1


def nodes(cache: KmemCache) -> Iterator[tuple[int, KmemCacheNode]]:
    """for_each_kmem_cache_node(). Raises memory.Fault."""
    for number, (place,) in enumerate(struct.iter_unpack("<Q", cache.node)):
        if place:
            yield number, KmemCacheNode(kernel.memory(), Ptr[KmemCacheNode](place))


def use_of(cache: KmemCache) -> Use | None:
    """get_slabinfo(); None without CONFIG_SLUB_DEBUG, which counts slabs.

    Raises Broken, memory.Fault.
    """
    slabs = objects = free = 0
    for number, node in nodes(cache):
        if node.nr_slabs is None or node.total_objects is None:
            return None
        slabs += node.nr_slabs
        objects += node.total_objects
        for place in _partial_of_node(node):
            read = _slab(place, f"partial of node {number}")
            free += read.objects - read.inuse
    return Use(slabs, objects, free)


def _partial_of_node(node: KmemCacheNode) -> Iterator[Ptr[Page]]:
    """The slabs on a node's list. Raises Broken."""
    inside = structs.offsetof("struct kmem_cache_node", "partial")
    link = structs.offsetof(slab_type(), "slab_list")
    for place in lists.list_for_each(Ptr[ListHead](node.address + inside)):
        yield Ptr[Page](place - link)


@structs.cached
def slab_type() -> str:
    """What a slab is: a type of its own since v5.17 (d122019bf061)."""
    return "struct slab" if structs.has_type("struct slab") else "struct page"


def read_slab(place: Ptr[Page]) -> Slab | SlabPage:
    """The struct slab at a struct page. Raises memory.Fault."""
    guest = kernel.memory()
    if slab_type() == "struct slab":
        return Slab(guest, Ptr[Slab](place))
    return SlabPage(guest, Ptr[SlabPage](place))


def _slab(place: Ptr[Page], where: str) -> SlabOf:
    """Read a slab without its list of free objects. Raises Broken."""
    first = page.vmemmap()
    size = structs.sizeof("struct page")
    if place < first or (place - first) % size:
        raise Broken(f"{where} has {place:#x}, which is no struct page")
    try:
        read = read_slab(place)
        order = 0
        if "head" in page.flag_names(read.flags):
            order = page.compound_order(place)
    except Fault as fault:
        raise Broken(
            f"{where}: the slab at {place:#x} cannot be read: {fault}"
        ) from None
    counters = read.counters
    inuse, objects = counters & 0xFFFF, counters >> 16 & MAX_OBJS_PER_PAGE
    if inuse > objects:
        raise Broken(
            f"{where}: the slab at {place:#x} has {objects} objects, but {inuse} in use"
        )
    return SlabOf(
        page=place,
        start=kernel.memory().page_offset + page.page_to_pfn(place) * PAGE_SIZE,
        order=order,
        objects=objects,
        inuse=inuse,
        frozen=bool(counters >> 31 & 1),
        where=where,
    )


def slabs_of(cache: KmemCache, pages: MemMap | None = None) -> list[SlabOf]:
    """All slabs of a cache, by address, each with its free objects.

    Those that are full are on no list without CONFIG_SLUB_DEBUG and the cache's own
    flags: they are found among all struct page.

    :param pages: mem_map(), where it was read already
    :raises Broken: a list is damaged
    """
    wanted = _where(cache)
    for place in _pages_of(cache, pages or mem_map()):
        wanted.setdefault(place, "full")
    kept = _kept_by_cpus(cache)
    found = [_with_free(cache, place, where, kept) for place, where in wanted.items()]
    return sorted(found, key=lambda slab: slab.start)


def slab_around(head: Ptr[Page]) -> tuple[KmemCache, SlabOf]:
    """The cache and the slab of a slab's first page.

    :raises Broken: it is in no cache, or a list is damaged
    """
    owner = read_slab(head).slab_cache
    for cache in for_each_cache():
        if cache.address == owner:
            where = _where(cache).get(head, "full")
            return cache, _with_free(cache, head, where, _kept_by_cpus(cache))
    raise Broken(f"the slab at {head:#x} is of {owner:#x}, which is no cache")


def virt_to_slab(address: int) -> tuple[KmemCache, Ptr[Page]] | None:
    """The cache of an object and the first page of its slab; None if it is in no slab.

    :raises Fault: its struct page or its cache cannot be read
    """
    guest = kernel.memory()
    pfn = address - guest.page_offset >> PAGE_SHIFT
    if pfn < 0:
        return None
    head = page.compound_head(page.pfn_to_page(pfn))
    read = read_slab(head)
    if "slab" not in page.flag_names(read.flags):
        return None
    return KmemCache(guest, read.slab_cache), head


def order_of(head: Ptr[Page]) -> int:
    """The order of a slab's pages. Raises memory.Fault."""
    compound = "head" in page.flag_names(read_slab(head).flags)
    return page.compound_order(head) if compound else 0


def objects_of(head: Ptr[Page]) -> int:
    """How many objects a slab has. Raises memory.Fault."""
    return read_slab(head).counters >> 16 & MAX_OBJS_PER_PAGE


@dataclass(frozen=True)
class FreeList:
    """The free objects of a slab, as far as the list leads."""

    start: int  # where the slab's first object is
    objects: int
    numbers: frozenset[int]
    broken: str  # why it leads no further, "" if it has an end


def free_list(cache: KmemCache, head: Ptr[Page]) -> FreeList:
    """Which objects of a slab are free, those that a CPU keeps among them.

    Raises memory.Fault, Broken if what is no slab of the cache is given.
    """
    if not cache.size:
        raise Broken(f"the cache at {cache.address:#x} has objects of 0 bytes")
    slab, broken = _slab(head, "this slab"), ""
    numbers = set()
    for first in (read_slab(head).freelist, _kept_by_cpus(cache).get(head, Ptr(0))):
        try:
            for number in _free(cache, slab, first):
                numbers.add(number)
        except Broken as damage:
            broken = str(damage)
    start = slab.start + (cache.red_left_pad or 0)
    return FreeList(start, slab.objects, frozenset(numbers), broken)


def object_number(cache: KmemCache, slab: FreeList, address: int) -> int | None:
    """Which object of a slab starts at an address, None if none does."""
    number, rest = divmod(address - slab.start, cache.size)
    return None if rest or not 0 <= number < slab.objects else number


def _with_free(
    cache: KmemCache, place: Ptr[Page], where: str, kept: dict[Ptr[Page], Ptr[object]]
) -> SlabOf:
    """Read a slab with its free objects. Raises Broken.

    :param kept: what _kept_by_cpus() returned
    """
    read = _slab(place, where)
    free = set(_free(cache, read, read_slab(place).freelist))
    free |= set(_free(cache, read, kept.get(place, Ptr(0))))
    return replace(read, free=frozenset(free))


def _where(cache: KmemCache) -> dict[Ptr[Page], str]:
    """The slabs that are on a list, and on which. Raises Broken."""
    found: dict[Ptr[Page], str] = {}
    for cpu, read in _of_cpus(cache):
        own = read.slab if read.page is None else read.page
        if own:
            found[Ptr[Page](own)] = f"CPU {cpu}"
        here, seen = read.partial or 0, 0
        while here:
            place = Ptr[Page](here)
            if place in found or seen > MOST_PARTIAL:
                raise Broken(
                    f"the partial slabs of CPU {cpu} are a cycle: {here:#x} again"
                )
            found[place] = f"partial of CPU {cpu}"
            seen += 1
            try:
                here = read_slab(place).next
            except Fault as fault:
                raise Broken(
                    f"the partial slabs of CPU {cpu} are cut: {fault}"
                ) from None
    for number, node in nodes(cache):
        for place in _partial_of_node(node):
            found.setdefault(place, f"partial of node {number}")
    return found


def _of_cpus(cache: KmemCache) -> Iterator[tuple[int, KmemCacheCpu]]:
    """What each CPU allocates from. Raises memory.Fault."""
    if not cache.cpu_slab:
        return
    for cpu in processors.possible_cpus():
        place = processors.per_cpu_ptr(cache.cpu_slab, cpu)
        yield cpu, KmemCacheCpu(kernel.memory(), place)


def _kept_by_cpus(cache: KmemCache) -> dict[Ptr[Page], Ptr[object]]:
    """The lists of free objects that CPUs have taken from their slabs."""
    found = {}
    for _, read in _of_cpus(cache):
        own = read.slab if read.page is None else read.page
        if own:
            found[Ptr[Page](own)] = read.freelist
    return found


def _pages_of(cache: KmemCache, pages: MemMap) -> list[Ptr[Page]]:
    """The first pages of all slabs of a cache."""
    owned = pages.word("slab_cache", slab_type()) == np.uint64(cache.address)
    own = np.flatnonzero(owned & pages.has("slab"))
    return [page.pfn_to_page(int(pfn)) for pfn in own]


def in_use(cache: KmemCache, slab: SlabOf) -> Iterator[tuple[int, int]]:
    """Number and address of each object in use of a slab that slabs_of() gave."""
    start = slab.start + (cache.red_left_pad or 0)
    for number in range(slab.objects):
        if number not in slab.free:
            yield number, start + number * cache.size


def _free(cache: KmemCache, slab: SlabOf, first: int) -> Iterator[int]:
    """The numbers of the objects on a list of free ones. Raises Broken."""
    here, seen, guest = first, set(), kernel.memory()
    assert cache.offset is not None
    start = slab.start + (cache.red_left_pad or 0)
    while here:
        number, rest = divmod(here - start, cache.size)
        if rest or not 0 <= number < slab.objects:
            raise Broken(
                f"the free objects of the slab at {slab.page:#x} lead to {here:#x}, which is "
                "no object of it"
            )
        if number in seen:
            raise Broken(
                f"the free objects of the slab at {slab.page:#x} are a cycle: object "
                f"{number} comes again"
            )
        seen.add(number)
        yield number
        place = here + cache.offset
        try:
            here = guest.u64(place)
        except Fault as fault:
            raise Broken(f"the free objects end at {here:#x}: {fault}") from None
        if cache.random is not None:
            here = (
                here ^ cache.random ^ int.from_bytes(place.to_bytes(8, "big"), "little")
            )


def flag_names(flags: int) -> tuple[str, ...]:
    """The names of a cache's flags, lowest first, without SLAB_."""
    return tuple(name for bit, name in FLAGS.items() if flags & bit)
