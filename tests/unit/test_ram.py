# SPDX-License-Identifier: GPL-2.0-only
"""Zones, slab caches and the vmalloc region in made-up memory, sound and damaged."""

from __future__ import annotations

import pytest

from lab.linux import mem_map, mmzone, percpu, slub, vmalloc
from lab.linux.structs.lib import ListHead, PercpuCounter
from lab.linux.structs.mmzone import Zone
from lab.linux.structs.slub import KmemCache
from lab.reports import listhead
from lab.target import kernel, structs
from lab.target.cstruct import Ptr
from lab.target.debugger import Refused
from lab.target.memory import Broken
from lab.view import bars
from made_up import PAGE, WORD, WRITE, Guest

SIZE = 64  # of an object
VMEMMAP = 0xFFFF_EA00_0000_0000
OBJECTS = 8


# --- Bars -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "bar"),
    [
        ({"a": 1, "b": 1}, "aaaaabbbbb"),
        ({"a": 3, "b": 1}, "aaaaaaaabb"),
        ({"a": 1 << 40, "b": 1}, "aaaaaaaaab"),  # what is there has a cell
        ({"a": 0, "b": 5}, "bbbbbbbbbb"),
        ({"a": 0, "b": 0}, ""),
        ({}, ""),
        ({"a": 1, "b": 1, "c": 1}, "aaaabbbccc"),
    ],
)
def test_shares(parts: dict[str, int], bar: str) -> None:
    assert bars.shares(parts, 10) == bar


@pytest.mark.parametrize(
    ("part", "bar"),
    [(0, ""), (1, "▏"), (500, "█████"), (1000, "██████████"), (50, "▌"), (150, "█▌")],
)
def test_amount(part: int, bar: str) -> None:
    assert bars.amount(part, 1000, 10) == bar


# --- Zones ------------------------------------------------------------------------


def zone(guest: Guest, free: int, boost: int = 0) -> Zone:
    """A zone with a counter of free pages and watermarks of 10, 20 and 30."""
    number = structs.enumerators("enum zone_stat_item")["NR_FREE_PAGES"]
    count = structs.member("struct zone", "vm_stat")[1].size // 8
    counters = [0] * count
    counters[number] = free
    marks = structs.member("struct zone", "_watermark")[1].size // 8
    place = guest.put(
        "struct zone",
        {
            "vm_stat": b"".join(WORD.pack(value % (1 << 64)) for value in counters),
            "_watermark": b"".join(WORD.pack(10 * (i + 1)) for i in range(marks)),
            "watermark_boost": boost,
            "name": guest.string(b"DMA\x1b[2J"),
        },
    )
    return Zone(kernel.memory(), Ptr[Zone](place))


def test_watermarks_are_boosted(guest: Guest) -> None:
    marks = mmzone.watermarks(zone(guest, 5, boost=7))
    assert [marks[name] for name in ("min", "low", "high")] == [17, 27, 37]


@pytest.mark.parametrize(("counter", "pages"), [(5, 5), (0, 0), (-3, 0)])
def test_no_counter_is_negative(guest: Guest, counter: int, pages: int) -> None:
    assert mmzone.zone_page_state(zone(guest, counter), "NR_FREE_PAGES") == pages


def test_a_zone_s_name_is_escaped(guest: Guest) -> None:
    assert mmzone.zone_name(zone(guest, 0)) == r"DMA\x1b[2J"


def test_a_percpu_counter(guest: Guest) -> None:
    areas = guest.per_cpu_areas(2)
    for area, part in zip(areas, (5, -7)):
        guest.write(area + 0x1000, (part % (1 << 32)).to_bytes(4, "little"))
    members = {"count": 40, "counters": 0x1000}
    place = Ptr[PercpuCounter](guest.put("struct percpu_counter", members))
    assert percpu.percpu_counter_read(place) == (40, -2)
    assert percpu.percpu_counter_sum(place) == 38


# --- Free objects of a slab ---------------------------------------------------------


class Cache:
    """A cache with one slab, whose free objects are linked."""

    def __init__(
        self, guest: Guest, offset: int = 0, secret: int | None = None
    ) -> None:
        self.guest, self.offset, self.secret = guest, offset, secret
        if secret is not None:
            guest.has_also("struct kmem_cache", "random", "unsigned long")
        members = {"size": SIZE, "object_size": SIZE, "offset": offset}
        place = guest.put("struct kmem_cache", members)
        if secret is not None:
            guest.set("struct kmem_cache", place, "random", secret)
        self.cache = KmemCache(kernel.memory(), Ptr[KmemCache](place))
        self.start = guest.room(PAGE, PAGE)

    def link(self, *numbers: int) -> int:
        """Put objects on the list of free ones in this order, and return the first."""
        places = [self.start + number * SIZE for number in numbers]
        for here, following in zip(places, [*places[1:], 0]):
            self.point(here, following)
        return places[0]

    def point(self, here: int, following: int) -> None:
        """Write the pointer in a free object."""
        place = here + self.offset
        if self.secret is not None:
            swapped = int.from_bytes(place.to_bytes(8, "big"), "little")
            following ^= self.secret ^ swapped
        self.guest.write(place, WORD.pack(following))

    def free(self, first: int) -> list[int]:
        """The numbers of the free objects as the lab finds them."""
        slab = slub.SlabOf(
            page=Ptr(0),
            start=self.start,
            order=0,
            objects=OBJECTS,
            inuse=0,
            frozen=False,
            where="",
        )
        return list(slub._free(self.cache, slab, first))


@pytest.fixture(params=[(0, None), (32, None), (32, 0x1234_5678_9ABC_DEF1)])
def cache(request: pytest.FixtureRequest, guest: Guest) -> Cache:
    return Cache(guest, *request.param)


def test_free_objects(cache: Cache) -> None:
    assert cache.free(cache.link(3, 0, 7)) == [3, 0, 7]
    assert cache.free(0) == []


def test_free_objects_that_are_a_cycle(cache: Cache) -> None:
    first = cache.link(3, 0, 7)
    cache.point(cache.start + 7 * SIZE, first)
    with pytest.raises(Broken, match="a cycle: object 3 comes again"):
        cache.free(first)


@pytest.mark.parametrize("wrong", [1, SIZE * OBJECTS, -SIZE, 1 << 40])
def test_a_free_object_that_is_none(cache: Cache, wrong: int) -> None:
    first = cache.link(3, 0)
    cache.point(cache.start, cache.start + wrong)
    with pytest.raises(Broken, match="is no object of it"):
        cache.free(first)


def test_another_allocator_is_told(guest: Guest) -> None:
    slub.check_slub()
    guest.has_also("struct kmem_cache", "cpu_cache", "unsigned long")
    with pytest.raises(Refused, match="allocator is SLAB"):
        slub.check_slub()


# --- vmalloc ------------------------------------------------------------------------


def areas(guest: Guest, count: int) -> list[int]:
    """Link so many areas, and return them: struct vmap_area *."""
    found = []
    for number in range(count):
        start = 0xFFFF_C900_0000_0000 + number * 2 * PAGE
        vm = guest.put("struct vm_struct", {"addr": start, "size": 2 * PAGE})
        members = {"va_start": start, "va_end": start + 2 * PAGE, "vm": vm}
        found.append(guest.put("struct vmap_area", members))
    inside = structs.offsetof("struct vmap_area", "list")
    guest.link(structs.address_of("vmap_area_list"), *(area + inside for area in found))
    if structs.has_symbol("purge_vmap_area_list"):
        guest.link(structs.address_of("purge_vmap_area_list"))
    return found


def test_areas_in_order(guest: Guest) -> None:
    expected = areas(guest, 3)
    found = list(vmalloc.for_each_vmap_area())
    assert [one.area.address for one in found] == expected
    assert all(one.vm and one.vm.size == 2 * PAGE for one in found)


def test_an_area_without_its_vm_struct(guest: Guest) -> None:
    _, second, _ = areas(guest, 3)
    guest.set("struct vmap_area", second, "vm", 0x1234)
    walk = vmalloc.for_each_vmap_area()
    next(walk)
    with pytest.raises(Broken, match="has no vm_struct"):
        next(walk)


def test_areas_to_purge(guest: Guest) -> None:
    """A simple list until v5.11, and one that could have no end."""
    areas(guest, 1)
    start = 0xFFFF_C900_0010_0000
    members = {"va_start": start, "va_end": start + PAGE}
    given_back = [guest.put("struct vmap_area", members) for _ in range(2)]
    if structs.has_symbol("purge_vmap_area_list"):
        inside = structs.offsetof("struct vmap_area", "list")
        head = structs.address_of("purge_vmap_area_list")
        guest.link(head, *(area + inside for area in given_back))
    else:
        inside = structs.offsetof("struct vmap_area", "purge_list")
        first, second = (area + inside for area in given_back)
        guest.variable("vmap_purge_list", first)
        guest.write(first, WORD.pack(second))
    found = list(vmalloc.for_each_vmap_area())
    assert [one.is_purged_soon for one in found] == [False, True, True]
    if not structs.has_symbol("purge_vmap_area_list"):
        guest.write(second, WORD.pack(first))
        with pytest.raises(Broken, match="is a cycle"):
            list(vmalloc.for_each_vmap_area())


# --- Any list -------------------------------------------------------------------------


def test_a_list_that_differs_by_the_way(guest: Guest) -> None:
    head, one, two = (guest.room(64) for _ in range(3))
    guest.link(head, one, two)
    kind, member = "struct list_head", "next"
    with pytest.raises(Refused, match="is no struct list_head"):
        listhead.describe(head, kind, member)
    guest.put("struct list_head", {"prev": head}, two)  # leaves one out on the way back
    forward, _ = listhead._forward(Ptr[ListHead](head))
    backward, _ = listhead._backward(Ptr[ListHead](head))
    assert forward == [one] and backward == [two]


# --- All struct page ------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", [(0, 1, 2), (2, 0, 1), (0, None, 1), (None, None, None)]
)
def test_all_struct_page(guest: Guest, order: tuple[int | None, ...]) -> None:
    """Whether the array is in one piece, in several, or has holes."""
    size = structs.sizeof("struct page")
    each = PAGE // size
    pgd = guest.physical(structs.address_of("init_top_pgt"))
    if structs.has_symbol("vmemmap_base"):
        guest.variable("vmemmap_base", VMEMMAP)
    guest.variable("max_pfn", 3 * each)
    room = guest.room(3 * PAGE, PAGE)
    for number, place in enumerate(order):
        if place is None:
            continue
        page = room + place * PAGE
        guest.map(pgd, VMEMMAP + number * PAGE, guest.physical(page), WRITE)
        for inside in range(each):
            flags = {"flags": number * each + inside + 1}
            guest.put("struct page", flags, page + inside * size)
    found = mem_map.mem_map()
    assert len(found.words) == 3 * each
    for pfn in range(3 * each):
        there = order[pfn // each] is not None
        assert found.there[pfn] == there
        assert found.word("flags")[pfn] == (pfn + 1 if there else 0)


def test_more_frames_than_ram(guest: Guest) -> None:
    guest.variable("max_pfn", 1 << 40)
    with pytest.raises(Broken, match="but no RAM has more than"):
        mem_map.mem_map()
