# SPDX-License-Identifier: GPL-2.0-only
"""What a request of pages gets: its order, the block, the splits, what is wasted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple

from ..linux import kmalloc, mmzone, page_alloc, startup
from ..linux.page_alloc import Taken
from ..result import Address, Drawing, Number, Report, Size, Table, Words
from ..sizes import counted, size_text
from ..target import kernel
from ..target.debugger import Refused
from ..target.memory import PAGE_SIZE, Broken

CELLS = 64  # of the block, drawn


class PartRow(NamedTuple):
    """A part of the block that is taken."""

    part: Words  # given, or put back
    order: Number
    pages: Number
    size: Size
    pfn: Address
    address: Address  # in the direct map


class PassedRow(NamedTuple):
    """A zone that would be passed over."""

    zone: Words
    why: Words


@dataclass
class FitReport(Report, schema="fit"):
    """The order and the waste; the block, and how it is split; zones passed over."""

    order: str
    exact: str
    taken: str
    split: Drawing[list[dict[str, Any]]] | None
    pieces: Table[PartRow] | None
    passed: Table[PassedRow] | None


def describe(size: int) -> FitReport:
    """What a request of so many bytes gets on the selected CPU.

    :raises Refused: it is nothing, or more than any block has
    """
    startup.need_page_allocator()
    if not size:
        raise Refused("A request of 0 bytes gets no page: give at least 1.")
    if size > kmalloc.max_size():
        raise Refused(
            f"No block has {size:,} bytes: the largest has {kmalloc.max_size():,}, "
            f"{size_text(kmalloc.max_size())}."
        )
    order = kmalloc.get_order(size)
    passed = page_alloc.Refusals()
    found, broken = None, ""
    try:
        found = page_alloc.alloc_pages(order, page_alloc.UNMOVABLE, passed)
    except Broken as trouble:
        broken = str(trouble)
    zones = Table(PassedRow, "zones that are passed over")
    zones.rows += [PassedRow(zone, why) for zone, why in passed.reasons]
    return FitReport(
        order=_order(size, order),
        exact=_exact(size, order),
        taken=broken
        and f"The free lists are damaged: {broken}."
        or _taken(found, order),
        split=_split(found, order) if found and found.halves else None,
        pieces=_parts(found, order) if found else None,
        passed=zones if zones.rows else None,
    )


def _order(size: int, order: int) -> str:
    given = PAGE_SIZE << order
    pages = -(-size // PAGE_SIZE)
    wasted = given - size
    waste = size_text(wasted) if wasted else "nothing"
    return (
        f"A request of {counted(size, 'byte')} takes {counted(pages, 'page')}, so a block "
        f"of order {order}: {counted(1 << order, 'page')}, {size_text(given)}; it wastes "
        f"{waste}."
    )


def _exact(size: int, order: int) -> str:
    pages = -(-size // PAGE_SIZE)
    over = (1 << order) - pages
    if not over:
        return "alloc_pages_exact() would give nothing back."
    left = pages * PAGE_SIZE - size
    rest = f"; {size_text(left)} of the last page stay unused" if left else ""
    return (
        f"alloc_pages_exact() would give {counted(over, 'page')} back, "
        f"{size_text(over * PAGE_SIZE)}{rest}."
    )


def _taken(found: Taken | None, order: int) -> str:
    call = f"alloc_pages(GFP_KERNEL, {order})"
    if found is None:
        return (
            f"Now {call} would find no zone with enough: the kernel would reclaim or "
            "compact memory first, and may fail."
        )
    kind = mmzone.migratetype_names()[found.migratetype]
    where = f"frame {found.pfn:#x} of zone {found.zone}"
    if found.is_of_cpu:
        return f"Now {call} would get {where}, which this CPU keeps for itself."
    lent = ""
    if found.migratetype != page_alloc.UNMOVABLE:
        whole = " with all that is free in its pageblock" * found.lends_pageblock
        lent = f", which lends it{whole}"
    if found.halves:
        splits = counted(len(found.halves), "time")
        text = (
            f"Now {call} would split the block of order {found.order} at {where}, from "
            f"the list {kind}{lent}, {splits}."
        )
    else:
        text = f"Now {call} would get the block at {where}, from the list {kind}{lent}."
    if found.fills > 1:
        text += (
            f" This CPU has none of order {order}, so it takes {found.fills} for itself, "
            "the later ones from what is put back."
        )
    if found.mark == "min":
        text += " No zone has enough by its mark `low`, so kswapd is woken first."
    return text


def _parts(found: Taken, order: int) -> Table[PartRow]:
    table = Table(PartRow, "")
    table.rows.append(_part("given", found.pfn, order))
    for pfn, half in reversed(found.halves):
        table.rows.append(_part("put back", pfn, half))
    return table


def _part(what: str, pfn: int, order: int) -> PartRow:
    return PartRow(
        part=what,
        order=order,
        pages=1 << order,
        size=PAGE_SIZE << order,
        pfn=pfn,
        address=kernel.memory().page_offset + pfn * PAGE_SIZE,
    )


def _split(found: Taken, order: int) -> Drawing[list[dict[str, Any]]]:
    """The block after each split, to scale."""
    data = [{"order": half, "pfn": pfn} for pfn, half in found.halves]
    return Drawing("the split", list(_drawn(found, order)), data)


def _drawn(found: Taken, order: int) -> Iterator[str]:
    yield "█ goes on to be split, ░ is put back on the free list of its order."
    cells = CELLS
    back = ""
    yield f"order {found.order:2} {'█' * cells}"
    for pfn, half in found.halves:
        cells //= 2
        if not cells:
            down = f" down to {order}" if half > order else ""
            yield f"order {half:2}{down}: too small to draw"
            return
        back = "░" * cells + back
        yield f"order {half:2} {'█' * cells}{back}  {pfn:#x} back"
