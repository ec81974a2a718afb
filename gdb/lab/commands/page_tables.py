# SPDX-License-Identifier: GPL-2.0-only
"""What lab walk, phys and read share: whose page tables, and a page frame as a table."""

from __future__ import annotations

from ..linux import mm as mm_, pageframe, pgtable, task
from ..result import Table, columns
from ..target import kernel
from ..target.memory import Fault
from .base import canonical, mm_of

PAGE = columns(
    frame="address",
    page="address",
    refcount="number",
    mapcount="number",
    order="number",
    flags="flags",
    used_as="text",
)


def page_tables(address: int, pid: str) -> tuple[int, str]:
    """Which page tables translate an address: their top, and whose they are.

    A kernel address has one meaning for all. Raises gdb.GdbError for a user
    address where the task has no address space.
    """
    guest = kernel.memory()
    canonical(address, guest.levels)
    if address >= pgtable.USER_HALF:
        return guest.kernel_pgd, "the kernel's memory"
    owner, mm = mm_of(pid)
    one = task.task(owner)
    return mm_.pgd_of(mm), f"the memory of {one.pid} ({one.comm})"


def direct_map(physical: int) -> int | None:
    """__va(): the kernel's address of RAM, None where there is none to read."""
    guest = kernel.memory()
    try:
        guest.physical.locate(physical, 1)
    except Fault:
        return None
    return guest.page_offset + physical


def page_table(physical: int) -> Table:
    """The struct page of a physical address as a table."""
    table = Table("page frame", PAGE)
    try:
        one = pageframe.page_of(physical)
    except Fault as fault:
        table.broken = f"there is no struct page: {fault}"
        return table
    table.rows.append(
        (
            one.pfn,
            one.address,
            one.refcount,
            one.mapcount,
            one.order,
            list(one.flags),
            one.kind,
        )
    )
    return table
