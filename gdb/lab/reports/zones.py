# SPDX-License-Identifier: GPL-2.0-only
"""Nodes and zones, as in /proc/zoneinfo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple

from ..linux import mmzone, startup
from ..linux.structs.mmzone import PglistData, Zone
from ..result import Address, Drawing, Number, Report, Table, Words
from ..sizes import rough_size
from ..target import kernel
from ..target.memory import PAGE_SIZE
from ..view import bars


class ZoneRow(NamedTuple):
    """A zone that has pages. All but the address is in pages."""

    node: Number
    zone: Words
    start_pfn: Address
    spanned: Number
    present: Number
    managed: Number
    free: Number
    boost: Number
    min: Number
    low: Number
    high: Number
    cma: Number | None
    protection: Words  # lowmem_reserve[], one number for each zone
    address: Address


class PagesetRow(NamedTuple):
    """The free pages of a zone that a CPU keeps for itself."""

    node: Number
    zone: Words
    cpu: Number
    pages: Number
    high: Number
    batch: Number
    stat_threshold: Number


class CounterRow(NamedTuple):
    """A counter of a node or of one of its zones."""

    node: Number
    zone: Words | None  # None for a counter of the node
    counter: Words
    value: Number
    pending: Number  # what CPUs have not yet added


class NodeRow(NamedTuple):
    """A node."""

    node: Number
    start_pfn: Address
    spanned: Number
    present: Number
    unreclaimable: Words
    address: Address


@dataclass
class ZonesReport(Report, schema="zones"):
    """Nodes, their zones, how full these are, what CPUs keep, all counters."""

    how_full: Drawing[list[dict[str, Any]]]
    nodes: Table[NodeRow]
    zones: Table[ZoneRow]
    per_cpu: Table[PagesetRow]
    counters: Table[CounterRow]


def describe() -> ZonesReport:
    """Read all zones. Raises memory.Fault."""
    startup.need_page_allocator()
    nodes = Table(NodeRow, "nodes, in pages")
    zones = Table(ZoneRow, "zones, in pages")
    per_cpu = Table(PagesetRow, "free pages that CPUs keep for themselves")
    counters = Table(CounterRow, "counters, in pages where they count memory")
    filled: list[dict[str, Any]] = []
    for address in mmzone.for_each_online_pgdat():
        node = PglistData(kernel.memory(), address)
        nodes.rows.append(_node_row(node))
        for counter in mmzone.node_counters(node):
            counters.rows.append(_counter_row(node, None, counter))
        for zone in mmzone.zones(address):
            row = _zone_row(node, zone)
            zones.rows.append(row)
            if not zone.present_pages:
                continue
            filled.append(_filled(row))
            for counter in mmzone.zone_counters(zone):
                counters.rows.append(_counter_row(node, row.zone, counter))
            for pageset in mmzone.pagesets(zone):
                per_cpu.rows.append(_pageset_row(node, row.zone, pageset))
    drawing = Drawing("how full the zones are", list(_drawn(filled)), filled)
    return ZonesReport(drawing, nodes, zones, per_cpu, counters)


def _node_row(node: PglistData) -> NodeRow:
    is_stuck = node.kswapd_failures >= mmzone.MAX_RECLAIM_RETRIES
    return NodeRow(
        node=node.node_id,
        start_pfn=node.node_start_pfn,
        spanned=node.node_spanned_pages,
        present=node.node_present_pages,
        unreclaimable="yes" if is_stuck else "no",
        address=node.address,
    )


def _zone_row(node: PglistData, zone: Zone) -> ZoneRow:
    marks = mmzone.watermarks(zone)
    return ZoneRow(
        node=node.node_id,
        zone=mmzone.zone_name(zone),
        start_pfn=zone.zone_start_pfn,
        spanned=zone.spanned_pages,
        present=zone.present_pages,
        managed=zone.managed_pages,
        free=mmzone.zone_page_state(zone, "NR_FREE_PAGES"),
        boost=zone.watermark_boost,
        min=marks["min"],
        low=marks["low"],
        high=marks["high"],
        cma=zone.cma_pages,
        protection=", ".join(map(str, mmzone.longs(zone.lowmem_reserve))),
        address=zone.address,
    )


def _counter_row(
    node: PglistData, zone: str | None, counter: mmzone.Counter
) -> CounterRow:
    return CounterRow(node.node_id, zone, counter.name, counter.value, counter.pending)


def _pageset_row(node: PglistData, zone: str, found: mmzone.Pageset) -> PagesetRow:
    return PagesetRow(
        node=node.node_id,
        zone=zone,
        cpu=found.cpu,
        pages=found.count,
        high=found.high,
        batch=found.batch,
        stat_threshold=found.stat_threshold,
    )


def _filled(row: ZoneRow) -> dict[str, Any]:
    """What a zone's bar shows, in bytes."""
    free = min(row.free, row.managed)
    return {
        "node": row.node,
        "zone": row.zone,
        "used": (row.managed - free) * PAGE_SIZE,
        "free": free * PAGE_SIZE,
        "unmanaged": (row.present - row.managed) * PAGE_SIZE,
        "high": row.high * PAGE_SIZE,
    }


def _drawn(zones: list[dict[str, Any]]) -> Iterator[str]:
    yield "█ used  ░ free  · of the zone, but not the allocator's (kernel image, struct pages)"
    for zone in zones:
        name = f"node {zone['node']} {zone['zone']}"
        parts = {"█": zone["used"], "░": zone["free"], "·": zone["unmanaged"]}
        bar = bars.shares(parts)
        used, free = rough_size(zone["used"]), rough_size(zone["free"])
        yield f"{name:15} {bar}  used {used}, free {free}"
