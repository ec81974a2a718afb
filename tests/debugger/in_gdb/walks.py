# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: time the three ways to walk the areas of one process, all in one stop.

Sourced at a hit of build/user/many. All ways must give the same list. Each is repeated,
and the median counts.
"""

import gc
import json
import os
import statistics
import time
from typing import Callable, Iterator

import gdb
from lab.commands.seginfo import check
from lab.linux import mm, vma
from lab.linux.structs.mm_types import VmAreaStruct
from lab.target import kernel

MEMBERS = ("vm_start", "vm_end", "vm_flags", "vm_file")
SLOW = 2000  # areas for the slow ways
ROUNDS = 5
FAST_PER_SLOW = 5  # the fast way takes so little time that it can be repeated
Areas = list[tuple[int, ...]]


def by_gdb_value(mm_struct: int) -> Areas:
    """Read member by member, as a gdb user types it: p vma->vm_start."""
    areas = []
    for area in values_of(mm_struct):
        areas.append((int(area), *(int(area[name]) for name in MEMBERS)))
        if len(areas) == SLOW:
            break
    return areas


def values_of(mm_struct: int) -> Iterator[gdb.Value]:
    """Yield the areas as gdb.Values: along vm_next, or in the order of the maple tree."""
    pointer = gdb.lookup_type("struct vm_area_struct").pointer()
    if not vma.is_listed():
        yield from (gdb.Value(address).cast(pointer) for address, *_ in right)
        return
    area = gdb.Value(mm.mm_struct(mm_struct).mmap).cast(pointer)
    while area:
        yield area
        area = area["vm_next"]


def by_stub(mm_struct: int) -> Areas:
    """Read the whole struct in one packet, and unpack it here."""
    read, size = gdb.selected_inferior().read_memory, VmAreaStruct.form().size
    areas = [
        VmAreaStruct.of(address, read(address, size)) for address, *_ in right[:SLOW]
    ]
    return [members(area) for area in areas]


def by_ram_file(mm_struct: int) -> Areas:
    """Walk as the check does."""
    return list(vma.for_each_vma(mm_struct))


def members(area: VmAreaStruct) -> tuple[int, ...]:
    return area.address, *(getattr(area, name) for name in MEMBERS)


def timed(way: Callable[[int], Areas]) -> tuple[Areas, float]:
    """Return the result of a way, and its microseconds for an area.

    Like timeit, it disables Python's garbage collector, which would scan all of gdb's
    objects at moments that have nothing to do with the walk.
    """
    kernel.memory().forget()
    gc.collect()
    gc.disable()
    started = time.perf_counter()
    areas = way(check.hits[-1].mm)
    took = (time.perf_counter() - started) * 1e6 / len(areas)
    gc.enable()
    return areas, took


assert kernel.is_fast(), "this lab has no RAM file"
right = [members(area) for area in timed(by_ram_file)[0]]
took: dict[str, list[float]] = {"gdb_value_us": [], "stub_us": [], "ram_file_us": []}
for _ in range(ROUNDS):  # in turn, so that other load on the machine affects all alike
    areas, us = timed(by_gdb_value)
    assert areas == right[:SLOW], "gdb.Value gave another list"
    took["gdb_value_us"].append(us)
    areas, us = timed(by_stub)
    assert areas == right[:SLOW], "the stub gave another list"
    took["stub_us"].append(us)
    for _ in range(FAST_PER_SLOW):
        areas, us = timed(by_ram_file)
        took["ram_file_us"].append(us)
    assert [members(area) for area in areas] == right, "the RAM file gave another list"

result = {"areas": len(right)}
result |= {name: statistics.median(each) for name, each in took.items()}
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(result, out)
