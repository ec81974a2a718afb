# SPDX-License-Identifier: GPL-2.0-only
"""The vmalloc region, as in /proc/vmallocinfo."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple

from ..linux import kallsyms, startup, vmalloc
from ..linux.regions import Region, named
from ..linux.vmalloc import FLAGS, MORE_FLAGS
from ..result import Address, Drawing, Flags, Number, Report, Size, Table, Words
from ..sizes import counted, rough_size
from ..target.memory import PAGE_SIZE, Broken
from ..view import bars

UNPURGED = "unpurged vm_area"
MAP_RAM = "vm_map_ram"
SHOWN = 12  # purposes that are drawn


class VmallocRow(NamedTuple):
    """A range of the region."""

    start: Address
    end: Address  # with the guard page
    size: Size
    pages: Number
    physical: Address | None  # of ioremap()
    purpose: Flags  # as in /proc/vmallocinfo, and then other flags
    caller: Words
    area: Address


@dataclass
class VmallocReport(Report, schema="vmalloc"):
    """Who uses how much of the region, and all ranges in it."""

    summary: str
    callers: Drawing[list[dict[str, Any]]]
    areas: Table[VmallocRow]


def describe() -> VmallocReport:
    """Walk the areas."""
    startup.need_vmalloc()
    table = Table(VmallocRow, "areas")
    region = named("vmalloc")
    try:
        for found in vmalloc.for_each_vmap_area():
            table.rows.append(_row(found, region))
    except Broken as broken:
        table.broken = str(broken)
    sizes: Counter[str] = Counter()
    for row in table.rows:
        sizes[row.caller or " ".join(row.purpose)] += row.size
    data = [{"caller": caller, "size": size} for caller, size in sizes.most_common()]
    drawing = Drawing("who uses how much", list(_drawn(data)), data)
    return VmallocReport(_summary(region, table), drawing, table)


def _summary(region: Region, table: Table[VmallocRow]) -> str:
    used = sum(row.size for row in table.rows)
    pages = sum(row.pages for row in table.rows)
    return (
        f"The region goes from {region.start:#x} to {region.end - 1:#x}. "
        f"{counted(len(table.rows), 'area')} use {rough_size(used)} of its "
        f"{rough_size(region.size)}, guard pages included, and hold "
        f"{counted(pages, 'page')} ({rough_size(pages * PAGE_SIZE)})."
    )


def _row(found: vmalloc.Area, region: Region) -> VmallocRow:
    area, vm = found.area, found.vm
    if vm is None:
        return VmallocRow(
            start=area.va_start,
            end=area.va_end,
            size=area.va_end - area.va_start,
            pages=0,
            physical=None,
            purpose=(UNPURGED if found.is_purged_soon else MAP_RAM,),
            caller="",
            area=area.address,
        )
    purpose = [name for bit, name in FLAGS.items() if vm.flags & bit]
    if region.start <= vm.pages < region.end:
        purpose.append("vpages")
    purpose += [name for bit, name in MORE_FLAGS.items() if vm.flags & bit]
    return VmallocRow(
        start=vm.addr,
        end=vm.addr + vm.size,
        size=vm.size,
        pages=vm.nr_pages,
        physical=vm.phys_addr or None,
        purpose=tuple(purpose),
        caller=kallsyms.sprint_symbol(vm.caller) if vm.caller else "",
        area=area.address,
    )


def _drawn(data: list[dict[str, Any]]) -> Iterator[str]:
    largest = max((user["size"] for user in data), default=0)
    for user in data[:SHOWN]:
        bar = bars.amount(user["size"], largest, 20)
        yield f"{bar:20}  {rough_size(user['size']):>9}  {user['caller']}"
    rest = data[SHOWN:]
    if rest:
        size = rough_size(sum(user["size"] for user in rest))
        yield f"{'':20}  {size:>9}  {counted(len(rest), 'other')}"
