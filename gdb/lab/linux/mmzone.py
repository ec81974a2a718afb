# SPDX-License-Identifier: GPL-2.0-only
"""Nodes and zones: include/linux/mmzone.h, mm/mmzone.c, mm/vmstat.c."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from . import processors
from .page import HUGE_PAGES
from .structs.mmzone import (
    FreeArea,
    PerCpuNodestat,
    PerCpuPages,
    PerCpuPageset,
    PerCpuZonestat,
    PglistData,
    Zone,
)

MAX_RECLAIM_RETRIES = 16  # mm/internal.h
# Node counters that /proc counts in huge pages: vmstat_item_print_in_thp(), vmstat.h
IN_HUGE_PAGES = (
    *("NR_ANON_THPS", "NR_FILE_THPS", "NR_SHMEM_THPS"),
    *("NR_SHMEM_PMDMAPPED", "NR_FILE_PMDMAPPED"),
)
structs.expect("contig_page_data", "node_data", "vmstat_text", "migratetype_names")


@dataclass(frozen=True)
class Counter:
    """A counter of a zone or node, and what CPUs have not yet added to it."""

    name: str  # as in /proc/zoneinfo
    value: int  # never negative, as in /proc/zoneinfo
    pending: int


@dataclass(frozen=True)
class Pageset:
    """The pages that a CPU keeps for itself."""

    cpu: int
    count: int
    high: int
    batch: int
    stat_threshold: int


def for_each_online_pgdat() -> Iterator[Ptr[PglistData]]:
    """NODE_DATA() of all nodes: struct pglist_data *. Raises memory.Fault."""
    if structs.has_symbol("contig_page_data"):
        yield Ptr[PglistData](structs.address_of("contig_page_data"))
        return
    array = structs.address_of("node_data")
    for number in range(structs.variable_size("node_data") // 8):
        node = kernel.memory().u64(array + 8 * number)
        if node:
            yield Ptr[PglistData](node)


def zones(node: Ptr[PglistData]) -> Iterator[Zone]:
    """All zones of a node, those without pages too: pgdat->node_zones[].

    :param node: struct pglist_data *
    :raises Fault: one cannot be read
    """
    first, array = structs.member("struct pglist_data", "node_zones")
    read = Zone.reader(kernel.memory())
    for number in range(array.count):
        place = node + first + number * structs.sizeof("struct zone")
        yield read(Ptr[Zone](place))


def for_each_populated_zone() -> Iterator[Zone]:
    """The zones of all nodes that have pages. Raises memory.Fault."""
    for node in for_each_online_pgdat():
        for zone in zones(node):
            if zone.present_pages:
                yield zone


def zone_of(pfn: int) -> str:
    """The name of the zone that spans a frame, "" if none does. Raises memory.Fault."""
    for zone in for_each_populated_zone():
        if 0 <= pfn - zone.zone_start_pfn < zone.spanned_pages:
            return zone_name(zone)
    return ""


def zone_name(zone: Zone) -> str:
    """DMA, DMA32, Normal, Movable, ... Raises memory.Fault."""
    return text_of(kernel.memory().read_string(zone.name, 64))


def watermarks(zone: Zone) -> dict[str, int]:
    """min, low, high, ... in pages: wmark_pages()."""
    names = structs.enumerators("enum zone_watermarks")
    return {
        name.removeprefix("WMARK_").lower(): value + zone.watermark_boost
        for (name, _), value in zip(names.items(), words(zone.watermark))
        if name != "NR_WMARK"
    }


def words(array: bytes) -> tuple[int, ...]:
    """An array of unsigned long, or of atomic_long_t that is never negative."""
    return struct.unpack(f"<{len(array) // 8}Q", array)


def longs(array: bytes) -> tuple[int, ...]:
    """An array of long."""
    return struct.unpack(f"<{len(array) // 8}q", array)


def vmstat_text() -> list[str]:
    """The names of all counters: of zones, of NUMA events, of nodes, ... in this order.

    See mm/vmstat.c. Raises memory.Fault.
    """
    return _strings("vmstat_text")


def _strings(symbol: str) -> list[str]:
    """An array of const char *. Raises memory.Fault."""
    guest, size = kernel.memory(), structs.variable_size(symbol)
    array = guest.read(structs.address_of(symbol), size)
    return [text_of(guest.read_string(place, 64)) for place in words(array)]


def zone_counters(zone: Zone) -> list[Counter]:
    """The counters of a zone: zone_page_state(). Raises memory.Fault."""
    pending = [_diffs(zone, cpu) for cpu in processors.online_cpus()]
    return _counters(vmstat_text(), longs(zone.vm_stat), pending)


def node_counters(node: PglistData) -> list[Counter]:
    """The counters of a node in /proc's units: node_page_state_pages().

    Pages, or huge pages since v5.12 (69473e5de873 and others), before which they were
    counted as such. Raises memory.Fault.
    """
    numa = [name for name in ("numa_stat_item", "numa_event_item") if _has_enum(name)]
    before = structs.member("struct zone", "vm_stat")[1].count
    for name in numa:
        before += len(structs.enumerators(f"enum {name}")) - 1
    guest, pending = kernel.memory(), []
    for cpu in processors.online_cpus():
        place = processors.per_cpu_ptr(node.per_cpu_nodestats, cpu)
        diffs = PerCpuNodestat(guest, place).vm_node_stat_diff
        pending.append(struct.unpack(f"<{len(diffs)}b", diffs))
    found = _counters(vmstat_text()[before:], longs(node.vm_stat), pending)
    if not counts_pages_of_huge():
        return found
    numbers = structs.enumerators("enum node_stat_item")
    for name in IN_HUGE_PAGES:
        read = found[numbers[name]]
        found[numbers[name]] = Counter(
            read.name, read.value // HUGE_PAGES, read.pending // HUGE_PAGES
        )
    return found


def counts_pages_of_huge() -> bool:
    """Are huge pages counted in pages? See node_counters().

    Since v5.12 (69473e5de873 and others), which left no trace in types or symbols. Page
    tables are counted by node since v5.11 (f0c0c115fb81): v5.11 alone is taken for newer.
    """
    return "NR_PAGETABLE" in structs.enumerators("enum node_stat_item")


def _has_enum(name: str) -> bool:
    return structs.has_type(f"enum {name}")


def _counters(
    names: list[str], values: tuple[int, ...], pending: list[tuple[int, ...]]
) -> list[Counter]:
    return [
        Counter(name, max(value, 0), sum(diffs[number] for diffs in pending))
        for number, (name, value) in enumerate(zip(names, values))
    ]


def _diffs(zone: Zone, cpu: int) -> tuple[int, ...]:
    diffs = _stats(zone, cpu).vm_stat_diff
    return struct.unpack(f"<{len(diffs)}b", diffs)


def _stats(zone: Zone, cpu: int) -> PerCpuPageset | PerCpuZonestat:
    """What a CPU keeps for a zone's counters."""
    guest, per_cpu_ptr = kernel.memory(), processors.per_cpu_ptr
    if zone.pageset is not None:
        return PerCpuPageset(guest, per_cpu_ptr(zone.pageset, cpu))
    assert zone.per_cpu_zonestats is not None
    return PerCpuZonestat(guest, per_cpu_ptr(zone.per_cpu_zonestats, cpu))


def per_cpu_pages(zone: Zone, cpu: int) -> Ptr[PerCpuPages]:
    """A CPU's free pages of a zone: struct per_cpu_pages *."""
    if zone.pageset is not None:
        inside = structs.offsetof("struct per_cpu_pageset", "pcp")
        pageset = processors.per_cpu_ptr(zone.pageset, cpu)
        return Ptr[PerCpuPages](pageset + inside)
    assert zone.per_cpu_pageset is not None
    return processors.per_cpu_ptr(zone.per_cpu_pageset, cpu)


def pagesets(zone: Zone) -> list[Pageset]:
    """The free pages that CPUs keep for themselves. Raises memory.Fault."""
    found = []
    for cpu in processors.online_cpus():
        pages = PerCpuPages(kernel.memory(), per_cpu_pages(zone, cpu))
        threshold = _stats(zone, cpu).stat_threshold
        found.append(Pageset(cpu, pages.count, pages.high, pages.batch, threshold))
    return found


def zone_page_state(zone: Zone, name: str) -> int:
    """A counter of a zone, without what CPUs have not yet counted: as in /proc/zoneinfo.

    :param name: of enum zone_stat_item
    """
    number = structs.enumerators("enum zone_stat_item")[name]
    return max(longs(zone.vm_stat)[number], 0)


def free_areas(zone: Zone) -> list[FreeArea]:
    """The free blocks of each order: zone->free_area[]. Raises memory.Fault."""
    first, array = structs.member("struct zone", "free_area")
    size = structs.sizeof("struct free_area")
    read = FreeArea.reader(kernel.memory())
    return [
        read(Ptr[FreeArea](zone.address + first + number * size))
        for number in range(array.count)
    ]


def migratetype_names() -> list[str]:
    """Unmovable, Movable, Reclaimable, ...: migratetype_names[] in mm/page_alloc.c.

    Raises memory.Fault.
    """
    return _strings("migratetype_names")


def pending_free(zone: Zone) -> int:
    """Free pages that CPUs have not yet counted. Raises memory.Fault."""
    number = structs.enumerators("enum zone_stat_item")["NR_FREE_PAGES"]
    return sum(_diffs(zone, cpu)[number] for cpu in processors.online_cpus())
