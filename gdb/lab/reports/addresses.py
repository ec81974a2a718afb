# SPDX-License-Identifier: GPL-2.0-only
"""Addresses: canonical ones, those of the direct map, and the page frame of one."""

from __future__ import annotations

from typing import NamedTuple

from ..linux import pageframe
from ..result import Address, Flags, Number, Table, Words
from ..target import kernel
from ..target.debugger import Refused
from ..target.memory import Fault


def is_canonical(address: int, levels: int) -> bool:
    """Can it be an address: are the highest bits of those translated, and above, the same?

    :param levels: of the page tables, 4 or 5
    """
    bits = 12 + 9 * levels
    return address >> bits - 1 in (0, (1 << 65 - bits) - 1)


def canonical(address: int, levels: int) -> int:
    """The same address, if it is canonical.

    :param levels: of the page tables, 4 or 5
    :raises Refused: it is not
    """
    if not is_canonical(address, levels):
        bits = 12 + 9 * levels
        raise Refused(
            f"{address:#x} is not canonical: with {levels}-level paging bits {bits - 1} to "
            "63 of an address are all the same."
        )
    return address


def direct_map(physical: int) -> int | None:
    """The direct map's address of a physical one, None if no RAM is there: __va()."""
    guest = kernel.memory()
    try:
        guest.physical.locate(physical, 1)
    except Fault:
        return None
    return guest.page_offset + physical


class PageRow(NamedTuple):
    """A page frame, by its struct page."""

    frame: Address
    page: Address
    refcount: Number
    mapcount: Number | None
    order: Number | None
    flags: Flags
    used_as: Words


def page_table(physical: int) -> Table[PageRow]:
    """The struct page of the frame that holds a physical address, as a table."""
    table = Table(PageRow, "page frame")
    try:
        page = pageframe.page_of(physical)
    except Fault as fault:
        table.broken = f"there is no struct page: {fault}"
        return table
    table.rows.append(
        PageRow(
            frame=page.pfn,
            page=page.address,
            refcount=page.refcount,
            mapcount=page.mapcount,
            order=page.order,
            flags=page.flags,
            used_as=page.kind,
        )
    )
    return table
