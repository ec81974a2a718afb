# SPDX-License-Identifier: GPL-2.0-only
"""lab walk: from a virtual address to its page frame."""

from __future__ import annotations

from .. import area, kernel, lookup, mm as mm_, pageframe, paging, task
from ..memory import Broken, Fault
from ..result import Result, Table, columns
from .base import LabCommand, canonical, mm_of, number

ENTRIES = columns(
    level="text",
    table="address",
    index="number",
    entry="address",
    value="address",
    target="address",
    flags="flags",
)
OUTCOME = columns(
    address="address",
    state="text",
    physical="address",
    page_size="size",
    rights="text",
    direct_map="address",
)
FLAGS = columns(flag="text", meaning="text")
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
    if address >= paging.USER_HALF:
        return guest.kernel_pgd, "the kernel's memory"
    owner, mm = mm_of(pid)
    one = task.task(owner)
    return mm_.pgd_of(mm), f"the memory of {one.pid} ({one.comm})"


class Walk(LabCommand):
    """The way of an address through the page tables: lab walk ADDRESS [PID] [--json]

    One row a level: where the table is, which entry counts, what it holds and
    leads to. Then what came of it: the physical address, the size of the page,
    what the processor allows there, and the direct map's address of the same
    byte. Of an entry that is not present it says what it is: never touched,
    PROT_NONE, swapped out, being moved. At last the page frame's struct page.

    Flags: P present, RW writable, US for user mode, PWT and PCD and PAT how it is
    cached, A accessed, D written to, PSE a large page, G global, NX not
    executable; the others are software's. ADDRESS is any expression of gdb's, in
    quotes if it has spaces.

    Examples: code of the current process, and the first page of the kernel.
        (gdb) lab walk 0x401000
        (gdb) lab walk _text
    """

    name = "walk"

    def run(self, arguments: list[str]) -> Result:
        where, pid = self.take(arguments, "ADDRESS", "[PID]")
        address = number(where, "address")
        pgd, whose = page_tables(address, pid)
        walk = paging.walk(pgd, address)
        levels = kernel.memory().levels
        result = Result([f"{address:#x} in {whose}, {levels} levels."])
        entries = Table("", ENTRIES, [_entry(one) for one in walk.entries])
        entries.broken = walk.broken
        result.parts.append(entries)
        if address < paging.USER_HALF and paging.pti_is_on():
            result.parts.append(_user_copy(pgd, walk))
        result.parts.append(_outcome(walk))
        if walk.broken:
            return result
        if walk.physical is None:
            result.parts.append(f"{_explain(walk, pid)}.")
        else:
            flags = [flag for flag in walk.last.flags()]
            result.parts.append(Table(f"{walk.last.name} flags", FLAGS, flags))
        frame = walk.physical if walk.physical is not None else walk.kept
        if frame is not None:
            result.parts.append(page_table(frame))
        return result


def _entry(one: paging.Entry) -> tuple:
    target = one.target if one.is_present else None
    names = [name for name, _ in one.flags()]
    return one.name, one.table, one.index, one.address, one.value, target, names


def _user_copy(pgd: int, walk: paging.Walk) -> Table:
    """With page-table isolation: the entry with which user mode runs."""
    first = walk.entries[0]
    table = paging.user_copy(pgd)
    value = paging.read_entry(table, first.index)
    copy = paging.Entry(first.level, first.name, first.index, table, value)
    title = (
        "page-table isolation: user mode starts at its own copy of the top table; in "
        "the kernel's the entries of user memory carry NX, which counts for nobody"
    )
    return Table(title, ENTRIES, [_entry(copy)])


def _outcome(walk: paging.Walk) -> Table:
    state, physical, size, rights, alias = "broken", None, None, None, None
    if not walk.broken:
        state = "present" if walk.physical is not None else paging.kind(walk.last)
        physical, size = walk.physical, walk.last.size
        if physical is not None:
            rights, alias = walk.rights(), direct_map(physical)
    row = (walk.address, state, physical, size, rights, alias)
    return Table("", OUTCOME, [row])


def direct_map(physical: int) -> int | None:
    """__va(): the kernel's address of RAM, None where there is none to read."""
    guest = kernel.memory()
    try:
        guest.physical.locate(physical, 1)
    except Fault:
        return None
    return guest.page_offset + physical


def _explain(walk: paging.Walk, pid: str) -> str:
    """Why a page is not there: what the entry says, and what the area says."""
    said = paging.explain(walk.last)
    if walk.address >= paging.USER_HALF:
        if paging.kind(walk.last) == "none":
            return f"Nothing is mapped here: the {walk.last.name} entry is empty"
        return f"The {walk.last.name} entry is {said}"
    said = f"The {walk.last.name} entry is {said}"
    _, mm = mm_of(pid)
    try:
        found = lookup.find_vma(mm, walk.address)
    except Broken as broken:
        return f"{said}; which area it is in cannot be told: {broken}"
    if found is None or walk.address < found[1].vm_start:
        return f"{said}; it lies in no area, to touch it means SIGSEGV"
    one = area.area_of(found[0], mm, task.onlooker_root())
    name = one.name or one.backing
    said += f"; it lies in {one.start:#x}-{one.end:#x} {one.perms} {name}"
    if paging.kind(walk.last) != "none":
        return said
    if not one.perms.startswith(("r", "-w", "--x")):
        return f"{said}, which may not be touched"
    return f"{said}: a page comes when it is touched"


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
