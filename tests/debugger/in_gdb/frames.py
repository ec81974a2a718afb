# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: all page frames at a hit, and the kernel's counters of free ones.

$LAB_GIVEN is a file with the lines of tests/guest/modules/oracle.c, which prints what it
has allocated: these frames, and those around them, are looked up in the lab.
"""

import json
import os

import gdb
from lab.linux import page, pageframe, processors, regions
from lab.target import memory, structs


def counted() -> dict[str, int]:
    """Read what the kernel counts as free in all zones: NR_FREE_PAGES, and per_cpu_pages."""
    free = lists = 0
    zones = gdb.parse_and_eval("contig_page_data.node_zones")
    pagesets = "pageset" if structs.has_member("struct zone", "pageset") else ""
    for number in range(zones.type.range()[1] + 1):
        zone = zones[number]
        if not int(zone["present_pages"]):
            continue
        nr = structs.constant("NR_FREE_PAGES")
        free += int(zone["vm_stat"][nr]["counter"])
        stats = "pageset" if pagesets else "per_cpu_zonestats"
        for offset in filter(None, processors.per_cpu_offsets()):
            stat = at(zone[stats], offset)
            free += int(stat["vm_stat_diff"][nr])
            lists += int(
                (stat["pcp"] if pagesets else at(zone["per_cpu_pageset"], offset))[
                    "count"
                ]
            )
    return {"in the buddy allocator": free, "on a list of a CPU's": lists}


def at(pointer: gdb.Value, offset: int) -> gdb.Value:
    """per_cpu_ptr()."""
    word = int(pointer) + offset & (1 << 64) - 1
    return gdb.Value(word).cast(pointer.type).dereference()


def row_of(pfn: int) -> list:
    """Return what the lab says about a frame."""
    frame = pageframe.page_of(pfn << 12)
    return [pfn, frame.order, frame.kind, frame.head and (frame.head - vmemmap) // size]


vmemmap, size = page.vmemmap(), structs.sizeof("struct page")
free: dict[str, int] = {}
unknown = []
for pfn in range(regions.max_pfn()):
    try:
        kind = pageframe.page_of(pfn << 12).kind
    except memory.Fault:
        continue
    if kind.startswith("free, "):
        what = kind.removeprefix("free, ")
        free[what] = free.get(what, 0) + 1
    if "changing hands" in kind and "later page" not in kind:
        unknown.append(row_of(pfn))
blocks = {}
with open(json.loads(os.environ["LAB_GIVEN"]), encoding="utf-8") as console:
    for line in console:
        words = line.partition("oracle: ")[2].split()
        if words[:1] in (["block"], ["exact"]):
            first, count = int(words[3], 16), int(words[4])
            blocks[" ".join(words[:3])] = [
                row_of(first + i) for i in range(-1, count + 1)
            ]
found = {"free": free, "counted": counted(), "unknown": unknown, "blocks": blocks}
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(found, out)
