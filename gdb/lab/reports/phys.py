# SPDX-License-Identifier: GPL-2.0-only
"""What is at a physical address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import identify, pgtable, regions, resource
from ..result import Address, Report, Size, Table, Words
from ..target import kernel
from ..target.debugger import Refused
from ..target.memory import PAGE_SIZE, START_KERNEL_MAP, Broken, Fault
from .addresses import PageRow, canonical, direct_map, page_table


class PlaceRow(NamedTuple):
    """An address of the same byte."""

    address: Address
    what: Words


class ResourceRow(NamedTuple):
    """A line of /proc/iomem."""

    start: Address
    end: Address
    size: Size
    name: Words
    resource: Address


@dataclass
class PhysReport(Report, schema="phys"):
    """A byte's addresses, the resources around it, what it belongs to, its page frame."""

    places: Table[PlaceRow] | None
    resources: Table[ResourceRow]
    holds: str | None = None
    page: Table[PageRow] | None = None


def describe(address: int | None) -> PhysReport:
    """Look up a physical address, or a kernel address; None for all of /proc/iomem.

    :raises Refused: it is too large, not canonical, or not mapped
    """
    if address is None:
        return PhysReport(None, _all_resources())
    places = Table(PlaceRow, "")
    if address >= pgtable.USER_HALF:
        canonical(address, kernel.memory().levels)
        places.rows.append(PlaceRow(address, _region(address)))
        address = _translate(address)
    elif address >> regions.physical_bits():
        raise Refused(
            f"{address:#x} is no physical address: this processor's have "
            f"{regions.physical_bits()} bits. For user memory see `lab walk`."
        )
    places.rows += _places(address)
    found = _resources(address)
    report = PhysReport(places, found)
    alias = direct_map(address)
    if alias is None:
        what = f"It is {found.rows[-1].name.strip()}" if found.rows else "It is a hole"
        report.holds = f"No RAM stands at {address:#x}. {what}."
    else:
        report.holds, report.page = _holds(address), page_table(address)
    return report


def _region(address: int) -> str:
    region = regions.region_of(address)
    return region.name if region else "in no region of the kernel"


def _translate(address: int) -> int:
    """The physical address of a kernel address. Raises Refused if it is not mapped."""
    walk = pgtable.walk(kernel.memory().kernel_pgd, address)
    if walk.physical is None:
        why = walk.broken or f"its {walk.last.name} entry is empty"
        raise Refused(f"{address:#x} is not mapped: {why}; see `lab walk`.")
    return walk.physical


def _places(physical: int) -> list[PlaceRow]:
    """A byte's physical address, and its permanent kernel addresses."""
    guest = kernel.memory()
    rows = [PlaceRow(physical, f"physical, page frame {physical // PAGE_SIZE:#x}")]
    alias = direct_map(physical)
    if alias is not None:
        walk = pgtable.walk(guest.kernel_pgd, alias)
        if walk.physical == physical:
            size = f"{walk.last.size >> 10} KiB pages"
            rows.append(PlaceRow(alias, f"direct map, {size}, {walk.rights()}"))
        else:
            rows.append(PlaceRow(alias, "direct map, where the kernel has unmapped it"))
    image = physical - guest.phys_base + START_KERNEL_MAP
    start, end = regions.image()
    if start <= image < end:
        rows.append(PlaceRow(image, f"kernel image, {_section(image)}"))
    return rows


def _section(address: int) -> str:
    for section in regions.sections():
        if section.start <= address < section.end:
            return section.name
    return "between two sections"


def _resources(physical: int) -> Table[ResourceRow]:
    table = Table(ResourceRow, "physical address space (/proc/iomem)")
    try:
        table.rows += map(_resource, resource.resources_at(physical))
    except Broken as broken:
        table.broken = str(broken)
    return table


def _resource(found: resource.Range) -> ResourceRow:
    name = "  " * found.depth + found.name
    size = found.end + 1 - found.start
    return ResourceRow(found.start, found.end, size, name, found.address)


def _all_resources() -> Table[ResourceRow]:
    table = Table(ResourceRow, "physical address space (/proc/iomem)")
    try:
        for found in resource.for_each_resource():
            table.rows.append(_resource(found))
    except Broken as broken:
        table.broken = str(broken)
    return table


def _holds(physical: int) -> str:
    """A sentence on what the kernel uses a physical address for."""
    try:
        frames = identify.struct_pages_in(physical)
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
