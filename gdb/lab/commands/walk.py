# SPDX-License-Identifier: GPL-2.0-only
"""lab walk: from a virtual address to its page frame."""

from __future__ import annotations

from ..linux import maps, pgtable, task, vma
from ..result import Result, Table, columns
from ..target import kernel
from ..target.memory import Broken
from .base import LabCommand, mm_of, number
from .page_tables import direct_map, page_table, page_tables

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
        walk = pgtable.walk(pgd, address)
        levels = kernel.memory().levels
        result = Result([f"{address:#x} in {whose}, {levels} levels."])
        entries = Table("", ENTRIES, [_entry(one) for one in walk.entries])
        entries.broken = walk.broken
        result.parts.append(entries)
        if address < pgtable.USER_HALF and pgtable.pti_is_on():
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


def _entry(one: pgtable.Entry) -> tuple:
    target = one.target if one.is_present else None
    names = [name for name, _ in one.flags()]
    return one.name, one.table, one.index, one.address, one.value, target, names


def _user_copy(pgd: int, walk: pgtable.Walk) -> Table:
    """With page-table isolation: the entry with which user mode runs."""
    first = walk.entries[0]
    table = pgtable.user_copy(pgd)
    value = pgtable.read_entry(table, first.index)
    copy = pgtable.Entry(first.level, first.name, first.index, table, value)
    title = (
        "page-table isolation: user mode starts at its own copy of the top table; in "
        "the kernel's the entries of user memory carry NX, which counts for nobody"
    )
    return Table(title, ENTRIES, [_entry(copy)])


def _outcome(walk: pgtable.Walk) -> Table:
    state, physical, size, rights, alias = "broken", None, None, None, None
    if not walk.broken:
        state = "present" if walk.physical is not None else pgtable.kind(walk.last)
        physical, size = walk.physical, walk.last.size
        if physical is not None:
            rights, alias = walk.rights(), direct_map(physical)
    row = (walk.address, state, physical, size, rights, alias)
    return Table("", OUTCOME, [row])


def _explain(walk: pgtable.Walk, pid: str) -> str:
    """Why a page is not there: what the entry says, and what the area says."""
    said = pgtable.explain(walk.last)
    if walk.address >= pgtable.USER_HALF:
        if pgtable.kind(walk.last) == "none":
            return f"Nothing is mapped here: the {walk.last.name} entry is empty"
        return f"The {walk.last.name} entry is {said}"
    said = f"The {walk.last.name} entry is {said}"
    _, mm = mm_of(pid)
    try:
        found = vma.vma_lookup(mm, walk.address)
    except Broken as broken:
        return f"{said}; which area it is in cannot be told: {broken}"
    if found is None:
        return f"{said}; it lies in no area, to touch it means SIGSEGV"
    one = maps.area_of(found.address, mm, task.onlooker_root())
    name = one.name or one.backing
    said += f"; it lies in {one.start:#x}-{one.end:#x} {one.perms} {name}"
    if pgtable.kind(walk.last) != "none":
        return said
    if not one.perms.startswith(("r", "-w", "--x")):
        return f"{said}, which may not be touched"
    return f"{said}: a page comes when it is touched"
