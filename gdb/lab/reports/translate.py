# SPDX-License-Identifier: GPL-2.0-only
"""An address, physical address, frame number or struct page as all four."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import page, pgtable, regions, startup
from ..linux.structs import mm_types
from ..result import Address, Report, Table, Words
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.memory import PAGE_SIZE, START_KERNEL_MAP, Fault
from .addresses import canonical, direct_map

KINDS = ("virt", "phys", "pfn", "page")


class StepRow(NamedTuple):
    """One of the four, and how it comes about."""

    what: Words
    value: Address | None
    how: Words


@dataclass
class TranslateReport(Report, schema="translate"):
    """A value as all four, with the formulas."""

    region: str
    steps: Table[StepRow]


def describe(value: int, kind: str) -> TranslateReport:
    """Translate a value.

    :param kind: one of KINDS, "" to take a kernel address for one, else a physical one
    :raises Refused: it is none, or stands for nothing
    """
    kind = kind or ("virt" if value >= pgtable.USER_HALF else "phys")
    if kind == "virt":
        physical, how = _of_virtual(value)
    elif kind == "phys":
        physical, how = value, "given"
    elif kind == "pfn":
        physical, how = value * PAGE_SIZE, "PFN_PHYS(pfn): pfn << 12"
    else:
        physical, how = _of_page(value)
    startup.need_cpu_data()
    bits = regions.physical_bits()
    if physical >> bits:
        raise Refused(
            f"{physical:#x} is no physical address: this processor's have {bits} bits."
        )
    table = Table(StepRow, "")
    if kind == "virt":
        table.rows.append(StepRow("address", value, "given"))
    table.rows.append(StepRow("physical address", physical, how))
    pfn = physical // PAGE_SIZE
    how = "given" if kind == "pfn" else "PHYS_PFN(physical): physical >> 12"
    table.rows.append(StepRow("page frame number", pfn, how))
    table.rows += [_page_row(pfn, kind), _alias_row(physical), *_image_row(physical)]
    return TranslateReport(_region(value, kind), table)


def _region(value: int, kind: str) -> str:
    """A sentence on where the given value lies."""
    if kind == "pfn":
        return f"{value:#x} is the number of a page frame."
    if kind == "phys":
        return f"{value:#x} is a physical address."
    if kind == "page":
        return f"{value:#x} is a struct page."
    region = regions.region_of(value)
    if region is None:
        return f"{value:#x} is in no region of the kernel's half."
    return f"{value:#x} is in the region {region.name}: {region.meaning}."


def _of_virtual(address: int) -> tuple[int, str]:
    """The physical address of a kernel address, and the formula. Raises Refused."""
    guest = kernel.memory()
    canonical(address, guest.levels)
    if address < pgtable.USER_HALF:
        raise Refused(
            f"{address:#x} is an address of user space, which each process has of its own: "
            "see `lab walk`."
        )
    walk = pgtable.walk(guest.kernel_pgd, address)
    if walk.physical is None:
        why = walk.broken or f"its {walk.last.name} entry is empty"
        raise Refused(f"{address:#x} is not mapped: {why}; see `lab walk`.")
    start, end = regions.image()
    if start <= address < end:
        formula = f"address - __START_KERNEL_map + phys_base ({guest.phys_base:#x})"
        linear = address - START_KERNEL_MAP + guest.phys_base
    else:
        formula = f"address - page_offset_base ({guest.page_offset:#x})"
        linear = address - guest.page_offset
    if walk.physical == linear:
        return linear, f"__pa(address): {formula}"
    return walk.physical, "no formula: by the page tables, see `lab walk`"


def _of_page(address: int) -> tuple[int, str]:
    """The physical address a struct page stands for. Raises Refused."""
    first, size = page.vmemmap(), structs.sizeof("struct page")
    inside = (address - first) % size
    if address < first or address - first >= regions.max_pfn() * size:
        raise Refused(
            f"{address:#x} is no struct page: those of this machine are at {first:#x} to "
            f"{first + regions.max_pfn() * size - 1:#x}."
        )
    if inside:
        raise Refused(
            f"{address:#x} is {inside} bytes inside the struct page at "
            f"{address - inside:#x}."
        )
    pfn = page.page_to_pfn(Ptr[mm_types.Page](address))
    return pfn * PAGE_SIZE, "page_to_phys(page): page_to_pfn(page) << 12"


def _page_row(pfn: int, kind: str) -> StepRow:
    """The struct page of a frame."""
    place, size = page.pfn_to_page(pfn), structs.sizeof("struct page")
    try:
        kernel.memory().read(place, size)
    except Fault:
        return StepRow("struct page", None, "none: no RAM that the kernel knows")
    how = f"pfn_to_page(pfn): vmemmap ({page.vmemmap():#x}) + pfn * {size}"
    return StepRow("struct page", place, "given" if kind == "page" else how)


def _alias_row(physical: int) -> StepRow:
    """The direct map's address."""
    alias = direct_map(physical)
    if alias is None:
        return StepRow("direct map", None, "none: no RAM is there")
    start = kernel.memory().page_offset
    return StepRow(
        "direct map", alias, f"__va(physical): physical + page_offset_base ({start:#x})"
    )


def _image_row(physical: int) -> list[StepRow]:
    """The address in the kernel image, if it is there as well."""
    base = kernel.memory().phys_base
    address = physical - base + START_KERNEL_MAP
    start, end = regions.image()
    if not start <= address < end:
        return []
    how = f"physical - phys_base ({base:#x}) + __START_KERNEL_map"
    return [StepRow("kernel image", address, how)]
