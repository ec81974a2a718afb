# SPDX-License-Identifier: GPL-2.0-only
"""Addresses: those that the processor takes, and what they are translated with."""

from __future__ import annotations

from typing import NamedTuple

from ..linux import pageframe
from ..result import Address, Flags, Number, Table, Words
from ..target import kernel
from ..target.debugger import Refused
from ..target.memory import Fault


def canonical(address: int, levels: int) -> int:
    """An address that the processor takes. Raises Refused for another one."""
    bits = 12 + 9 * levels
    top = address >> (bits - 1)
    if top not in (0, (1 << (65 - bits)) - 1):
        raise Refused(
            f"{address:#x} is not canonical: with {levels}-level paging bits {bits - 1} to "
            "63 of an address are all the same."
        )
    return address


def direct_map(physical: int) -> int | None:
    """__va(): the kernel's address of RAM, None where there is none to read."""
    guest = kernel.memory()
    try:
        guest.physical.locate(physical, 1)
    except Fault:
        return None
    return guest.page_offset + physical


class PageRow(NamedTuple):
    """A page frame, as its struct page tells."""

    frame: Address
    page: Address
    refcount: Number
    mapcount: Number | None
    order: Number | None
    flags: Flags
    used_as: Words


def page_table(physical: int) -> Table[PageRow]:
    """The struct page of a physical address as a table."""
    table = Table(PageRow, "page frame")
    try:
        one = pageframe.page_of(physical)
    except Fault as fault:
        table.broken = f"there is no struct page: {fault}"
        return table
    table.rows.append(
        PageRow(
            frame=one.pfn,
            page=one.address,
            refcount=one.refcount,
            mapcount=one.mapcount,
            order=one.order,
            flags=one.flags,
            used_as=one.kind,
        )
    )
    return table
