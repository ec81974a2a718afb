# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/mmzone.h."""

from __future__ import annotations

from typing import Optional

from ...target.cstruct import S8, S32, S64, U64, Ptr, Raw, Struct, at


class PglistData(Struct, name="struct pglist_data"):
    """A node: memory that is equally far from a processor, in zones."""

    node_zones: Raw  # struct zone[]
    node_start_pfn: U64
    node_present_pages: U64
    node_spanned_pages: U64
    node_id: S32
    kswapd_failures: S32
    vm_stat: Raw  # atomic_long_t[]
    per_cpu_nodestats: Ptr[PerCpuNodestat]


class PerCpuNodestat(Struct, name="struct per_cpu_nodestat"):
    """What a CPU has not yet added to a node's counters."""

    vm_node_stat_diff: Raw  # s8[]


class Zone(Struct, name="struct zone"):
    """A range of page frames that the allocator treats alike."""

    watermark: Raw = at("_watermark")  # unsigned long[]
    watermark_boost: U64
    nr_reserved_highatomic: U64
    lowmem_reserve: Raw  # long[]
    zone_pgdat: Ptr[PglistData]
    pageset: Optional[Ptr[PerCpuPageset]]  # until v5.14 (28f836b6777b)
    per_cpu_pageset: Optional[Ptr[PerCpuPages]]  # since v5.14 (28f836b6777b)
    per_cpu_zonestats: Optional[Ptr[PerCpuZonestat]]  # since v5.14 (28f836b6777b)
    zone_start_pfn: U64
    managed_pages: S64 = at("managed_pages.counter")
    spanned_pages: U64
    present_pages: U64
    cma_pages: Optional[U64]  # with CONFIG_CMA, since v5.12 (3c381db1fac8)
    name: Ptr[object]  # const char *
    free_area: Raw  # struct free_area[]
    vm_stat: Raw  # atomic_long_t[]


class Zoneref(Struct, name="struct zoneref"):
    """A zone in the list of those that a request may be served from, by preference."""

    zone: Ptr[Zone]
    zone_idx: S32  # enum zone_type


class FreeArea(Struct, name="struct free_area"):
    """The free blocks of one order."""

    free_list: Raw  # struct list_head[], one for each migrate type
    nr_free: U64


class PerCpuPages(Struct, name="struct per_cpu_pages"):
    """The pages of a zone that a CPU keeps for itself."""

    count: S32
    high: S32
    batch: S32


class PerCpuPageset(Struct, name="struct per_cpu_pageset"):
    """The same with what the CPU has not yet added to counters: until v5.14 (28f836b6777b)."""

    stat_threshold: S8
    vm_stat_diff: Raw  # s8[]


class PerCpuZonestat(Struct, name="struct per_cpu_zonestat"):
    """What a CPU has not yet added to a zone's counters: since v5.14 (28f836b6777b)."""

    stat_threshold: S8
    vm_stat_diff: Raw  # s8[]
