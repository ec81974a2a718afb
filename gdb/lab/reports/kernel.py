# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's half of the address space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import module, pagewalk, pgtable, regions
from ..result import Address, Report, Size, Table, Words
from ..target import kernel, structs
from ..target.memory import PAGE_SIZE, Broken


class RegionRow(NamedTuple):
    """A region of the kernel's half."""

    start: Address
    end: Address
    size: Size
    mapped: Size | None
    name: Words
    use: Words


class ImageRow(NamedTuple):
    """A part of the kernel's image."""

    start: Address
    end: Address
    size: Size
    mapped: Size | None
    rights: Words | None
    physical: Address
    name: Words


class FixedRow(NamedTuple):
    """A fixed address that is mapped."""

    address: Address
    name: Words
    physical: Address
    rights: Words


class ModuleRow(NamedTuple):
    """A part of a module's memory."""

    start: Address
    size: Size
    name: Words
    what: Words
    module: Address


# Many entries lead to the same tables, so their pages would be counted many times
ALIASED = ("espfix", "KASAN shadow")


@dataclass
class KernelReport(Report, schema="kernel"):
    """The kernel's half: its regions, the image's parts, fixed addresses, modules."""

    levels: str
    regions: Table[RegionRow]
    image: Table[ImageRow]
    fixmap: Table[FixedRow]
    modules: Table[ModuleRow] | str


def describe() -> KernelReport:
    """Walk the kernel's page tables."""
    return KernelReport(
        regions=_regions(),
        image=_sections(),
        fixmap=_fixmap(),
        levels=_heading(),
        modules=_modules(),
    )


def _heading() -> str:
    guest = kernel.memory()
    text, _ = regions.image()
    moved = "moved by memory randomisation" if regions.is_moved() else "not moved"
    heading = (
        f"{guest.levels} levels of page tables; top table swapper_pg_dir at physical "
        f"{guest.kernel_pgd:#x}. The image is linked for {text:#x} and runs there: KASLR "
        f"offset 0, phys_base {guest.phys_base:#x}. The direct map, vmalloc and vmemmap "
        f"are {moved}. RAM ends at {regions.max_pfn() * PAGE_SIZE:#x}, in the direct map "
        f"at high_memory, {regions.high_memory():#x}. The fixmap goes from FIXADDR_START, "
        f"{regions.fixaddr_start():#x}, to its last page at FIXADDR_TOP, "
        f"{regions.FIXADDR_TOP:#x}."
    )
    if not structs.has_symbol("kasan_init"):
        heading += " No KASAN shadow in this kernel."
    if not structs.has_symbol("init_espfix_ap"):
        heading += " No espfix stacks in this kernel."
    return heading


def _regions() -> Table[RegionRow]:
    table = Table(RegionRow, "")
    for region in regions.regions():
        start, end, mapped = region.start, region.end, None
        try:
            if region.name not in ALIASED:
                mapped = _mapped(start, end)
        except Broken as broken:
            table.broken = str(broken)
        row = RegionRow(
            start=start,
            end=end,
            size=region.size,
            mapped=mapped,
            name=region.name,
            use=region.meaning,
        )
        table.rows.append(row)
    return table


def _mapped(start: int, end: int) -> int:
    """How many bytes of [start, end) are mapped.

    :raises Broken: a page table lies outside of RAM
    """
    pgd = kernel.memory().kernel_pgd
    total = 0
    for address, size, _, value in pagewalk.walk_page_range(pgd, start, end):
        if value & 1:
            total += min(address + size, end) - max(address, start)
    return total


def _sections() -> Table[ImageRow]:
    table = Table(ImageRow, "kernel image")
    pgd = kernel.memory().kernel_pgd
    for section in regions.sections():
        start, end = section.start, section.end
        walk = pgtable.walk(pgd, start)
        rights = walk.rights() if walk.physical is not None else None
        try:
            mapped = _mapped(start, end)
        except Broken as broken:
            mapped, table.broken = None, str(broken)
        row = ImageRow(
            start=start,
            end=end,
            size=end - start,
            mapped=mapped,
            rights=rights,
            physical=section.physical,
            name=section.name,
        )
        table.rows.append(row)
    return table


def _fixmap() -> Table[FixedRow]:
    """The fixed addresses that are mapped: __fix_to_virt()."""
    table = Table(FixedRow, "fixmap")
    pages = structs.enumerators("enum fixed_addresses")
    last = pages["__end_of_permanent_fixed_addresses"]
    names: dict[int, str] = {}
    for name, number in pages.items():
        if number < last:
            names.setdefault(number, name)
    known = sorted(names)
    for number in range(last):
        address = regions.FIXADDR_TOP - (number << 12)
        walk = pgtable.walk(kernel.memory().kernel_pgd, address)
        if walk.physical is None:
            continue
        first = max((named for named in known if named <= number), default=None)
        name = f"number {number}"  # below the first that has a name
        if first is not None:
            name = names[first] + (f" + {number - first}" if number > first else "")
        table.rows.append(FixedRow(address, name, walk.physical, walk.rights()))
    return table


def _modules() -> Table[ModuleRow] | str:
    table = Table(ModuleRow, "modules")
    try:
        for part in module.for_each_module():
            row = ModuleRow(
                start=part.start,
                size=part.size,
                name=part.module,
                what=part.what,
                module=part.address,
            )
            table.rows.append(row)
    except Broken as broken:
        table.broken = str(broken)
    return table if table.rows or table.broken else "No module is loaded."
