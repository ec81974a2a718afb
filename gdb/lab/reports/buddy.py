# SPDX-License-Identifier: GPL-2.0-only
"""The free lists of the page allocator, as in /proc/buddyinfo and /proc/pagetypeinfo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple

from ..linux import buddy, mmzone, page, startup
from ..linux.structs.mmzone import PglistData, Zone
from ..result import Address, Drawing, Number, Report, Size, Table, Words
from ..sizes import counted, rough_size, size_text
from ..target import kernel
from ..target.debugger import Refused
from ..target.memory import PAGE_SIZE, Broken
from ..view import bars


class ListRow(NamedTuple):
    """The free blocks of one order and migrate type in a zone."""

    node: Number
    zone: Words
    type: Words
    order: Number
    block: Size
    blocks: Number
    free: Size


class OrderRow(NamedTuple):
    """The free blocks of one order in a zone."""

    node: Number
    zone: Words
    order: Number
    block: Size
    blocks: Number  # nr_free, as the kernel counts them
    free: Size
    types: Words  # how many blocks are of which migrate type


class BlockRow(NamedTuple):
    """A free block."""

    pfn: Address
    pages: Number
    type: Words
    address: Address  # in the direct map
    page: Address


@dataclass
class BuddyReport(Report, schema="buddy"):
    """How broken up the free memory of each zone is, and its free lists."""

    broken_up: Drawing[list[dict[str, Any]]]
    orders: Table[OrderRow]
    lists: Table[ListRow]


@dataclass
class BlocksReport(Report, schema="buddy-blocks"):
    """The free blocks of one order in a zone."""

    text: str
    blocks: Table[BlockRow]


def describe(name: str, order: int | None) -> BuddyReport | BlocksReport:
    """Walk the free lists of all zones, or of those with a name.

    :param name: "" for all
    :param order: only list the blocks of this order
    :raises Refused: no zone has this name, or there is no such order
    """
    startup.need_page_allocator()
    return _describe(name) if order is None else _blocks(name, order)


def _describe(name: str) -> BuddyReport:
    orders = Table(OrderRow, "free blocks")
    lists = Table(ListRow, "by migrate type")
    shares: list[dict[str, Any]] = []
    for zone in _zones(name):
        zone_name, node = mmzone.zone_name(zone), _node_id(zone)
        free: dict[int, int] = {}
        for order, area in enumerate(mmzone.free_areas(zone)):
            size, kinds = PAGE_SIZE << order, {}
            for number, kind in enumerate(mmzone.migratetype_names()):
                try:
                    blocks = sum(1 for _ in buddy.free_list(area, order, number))
                except Broken as broken:
                    lists.broken = lists.broken or f"{zone_name}, {kind}: {broken}"
                    continue
                kinds[kind] = blocks
                row = ListRow(
                    node=node,
                    zone=zone_name,
                    type=kind,
                    order=order,
                    block=size,
                    blocks=blocks,
                    free=blocks * size,
                )
                lists.rows.append(row)
            free[order] = sum(kinds.values()) * size
            orders.rows.append(_order_row(node, zone_name, order, area.nr_free, kinds))
            if sum(kinds.values()) != area.nr_free and not lists.broken:
                orders.broken = (
                    f"{zone_name} counts {counted(area.nr_free, 'free block')} of order "
                    f"{order}, but its lists have {sum(kinds.values()):,}"
                )
        shares.append({"node": node, "zone": zone_name, "free": free})
    drawing = Drawing(
        "how broken up the free memory is", list(_drawn(shares)), _as_data(shares)
    )
    return BuddyReport(drawing, orders, lists)


def _blocks(name: str, order: int) -> BlocksReport:
    if order >= buddy.nr_orders():
        raise Refused(
            f"This kernel's blocks have orders 0 to {buddy.nr_orders() - 1}, not {order}."
        )
    table = Table(BlockRow, "")
    for zone in _zones(name):
        area = mmzone.free_areas(zone)[order]
        for number, kind in enumerate(mmzone.migratetype_names()):
            try:
                for found in buddy.free_list(area, order, number):
                    table.rows.append(_block_row(page.page_to_pfn(found), order, kind))
            except Broken as broken:
                table.broken = str(broken)
    size = size_text(PAGE_SIZE << order)
    many = counted(len(table.rows), "free block")
    return BlocksReport(f"Zone {name} has {many} of order {order}, {size} each.", table)


def _zones(name: str) -> list[Zone]:
    found = list(mmzone.for_each_populated_zone())
    names = [mmzone.zone_name(zone) for zone in found]
    chosen = [
        zone for zone, own in zip(found, names) if name.lower() in ("", own.lower())
    ]
    if not chosen:
        raise Refused(f"{name} is no zone with pages: there are {', '.join(names)}.")
    return chosen


def _node_id(zone: Zone) -> int:
    return PglistData(kernel.memory(), zone.zone_pgdat).node_id


def _order_row(
    node: int, zone: str, order: int, nr_free: int, kinds: dict[str, int]
) -> OrderRow:
    there = (f"{kind} {blocks}" for kind, blocks in kinds.items() if blocks)
    return OrderRow(
        node=node,
        zone=zone,
        order=order,
        block=PAGE_SIZE << order,
        blocks=nr_free,
        free=(PAGE_SIZE << order) * nr_free,
        types=", ".join(there),
    )


def _block_row(pfn: int, order: int, kind: str) -> BlockRow:
    return BlockRow(
        pfn=pfn,
        pages=1 << order,
        type=kind,
        address=kernel.memory().page_offset + pfn * PAGE_SIZE,
        page=page.pfn_to_page(pfn),
    )


def _as_data(shares: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For a program: JSON's keys are strings, so bytes by order are a list."""
    return [{**zone, "free": list(zone["free"].values())} for zone in shares]


def _drawn(shares: list[dict[str, Any]]) -> Iterator[str]:
    """A bar for each zone: the share that blocks of each order have of its free memory."""
    yield "Each cell is a part of the zone's free memory, and its digit the order of the"
    yield "blocks that this part is in (a for 10): the higher, the less broken up."
    for zone in shares:
        parts = {f"{order:x}": size for order, size in zone["free"].items()}
        name = f"node {zone['node']} {zone['zone']}"
        total = rough_size(sum(zone["free"].values()))
        yield f"{name:15} {bars.shares(parts)}  {total} free"
