# SPDX-License-Identifier: GPL-2.0-only
"""lab phys: what stands at a physical address."""

from __future__ import annotations

import gdb

from ..linux import page, pagewalk, pgtable, regions, resource
from ..result import Result, Table, columns
from ..target import kernel, structs
from ..target.memory import PAGE_SIZE, START_KERNEL_MAP, Broken, Fault
from .base import LabCommand, canonical, number
from .page_tables import direct_map, page_table

PLACES = columns(address="address", what="text")
RESOURCES = columns(
    start="address", end="address", size="size", name="text", resource="address"
)


class Phys(LabCommand):
    """What stands at a physical address: lab phys [ADDRESS] [--json]

    The kernel addresses of the same byte, in the direct map and, for the kernel's
    own image, in that; which part of the physical address space it is, as
    /proc/iomem tells; and its page frame. A kernel address is taken too, and
    first translated. Without ADDRESS, all of /proc/iomem.

    A page frame is free if it is in a block of the buddy allocator or on a list of a
    CPU's. Of a block that is not compound the kernel keeps no size: then order is
    empty, and used_as says what can be told.

    Examples: the second MiB of RAM, and back from an address of the direct map.
        (gdb) lab phys 0x100000
        (gdb) lab phys $lab_task()
    """

    name = "phys"

    def run(self, arguments: list[str]) -> Result:
        (where,) = self.take(arguments, "[ADDRESS]")
        if not where:
            return Result([_all_resources()])
        address = number(where, "address")
        places = Table("", PLACES)
        if address >= pgtable.USER_HALF:
            canonical(address, kernel.memory().levels)
            places.rows.append((address, _region(address)))
            address = _translate(address)
        elif address >> regions.physical_bits():
            raise gdb.GdbError(
                f"{address:#x} is no physical address: this processor's have "
                f"{regions.physical_bits()} bits. For user memory see `lab walk`."
            )
        places.rows += _places(address)
        result = Result([places])
        found = _resources(address)
        result.parts.append(found)
        alias = direct_map(address)
        if alias is None:
            what = (
                f"It is {found.rows[-1][3].strip()}" if found.rows else "It is a hole"
            )
            result.parts.append(f"No RAM stands at {address:#x}. {what}.")
        else:
            result.parts += [_holds(address), page_table(address)]
        return result


def _region(address: int) -> str:
    region = regions.region_of(address)
    return region.name if region else "in no region of the kernel"


def _translate(address: int) -> int:
    """Where a kernel address leads, by the kernel's page tables."""
    walk = pgtable.walk(kernel.memory().kernel_pgd, address)
    if walk.physical is None:
        why = walk.broken or f"its {walk.last.name} entry is empty"
        raise gdb.GdbError(f"{address:#x} is not mapped: {why}; see `lab walk`.")
    return walk.physical


def _places(physical: int) -> list[tuple[int, str]]:
    """All addresses under which the kernel has a byte for good."""
    guest = kernel.memory()
    rows = [(physical, f"physical, page frame {physical // PAGE_SIZE:#x}")]
    alias = direct_map(physical)
    if alias is not None:
        walk = pgtable.walk(guest.kernel_pgd, alias)
        if walk.physical == physical:
            size = f"{walk.last.size >> 10} KiB pages"
            rows.append((alias, f"direct map, {size}, {walk.rights()}"))
        else:
            rows.append((alias, "direct map, where the kernel has unmapped it"))
    image = physical - guest.phys_base + START_KERNEL_MAP
    start, end = regions.image()
    if start <= image < end:
        rows.append((image, f"kernel image, {_section(image)}"))
    return rows


def _section(address: int) -> str:
    for section in regions.sections():
        if section.start <= address < section.end:
            return section.name
    return "between two sections"


def _resources(physical: int) -> Table:
    table = Table("physical address space (/proc/iomem)", RESOURCES)
    try:
        table.rows += map(_resource, resource.resources_at(physical))
    except Broken as broken:
        table.broken = str(broken)
    return table


def _resource(one: resource.Range) -> tuple:
    name = "  " * one.depth + one.name
    return one.start, one.end, one.end + 1 - one.start, name, one.address


def _all_resources() -> Table:
    table = Table("physical address space (/proc/iomem)", RESOURCES)
    try:
        for one in resource.for_each_resource():
            table.rows.append(_resource(one))
    except Broken as broken:
        table.broken = str(broken)
    return table


def _holds(physical: int) -> str:
    """What the kernel keeps at a physical address, if it is one of its own things."""
    try:
        frames = _struct_pages(physical)
    except (Fault, Broken):
        frames = None
    if frames is not None:
        first, last = frames
        return f"It holds the struct page of the frames {first:#x} to {last:#x}."
    image = physical - kernel.memory().phys_base + START_KERNEL_MAP
    start, end = regions.image()
    if start <= image < end:
        return "It belongs to the kernel image."
    return "It is RAM; its page frame tells what for."


def _struct_pages(physical: int) -> tuple[int, int] | None:
    """Which page frames' struct page stand in a page frame, None if none do."""
    start = page.vmemmap()
    size = structs.sizeof("struct page")
    end = start + regions.max_pfn() * size
    end = -(-end // PAGE_SIZE) * PAGE_SIZE
    pgd = kernel.memory().kernel_pgd
    for address, room, level, value in pagewalk.walk_page_range(pgd, start, end):
        entry = pgtable.Entry(level, "", 0, 0, value)
        inside = physical - entry.target
        if entry.is_present and 0 <= inside < room:
            first = (address + (inside & -PAGE_SIZE) - start) // size
            return first, first + PAGE_SIZE // size - 1
    return None
