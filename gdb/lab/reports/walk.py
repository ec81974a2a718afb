# SPDX-License-Identifier: GPL-2.0-only
"""From a virtual address to its page frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import maps, pgtable, task, vma
from ..linux.structs.mm_types import MmStruct
from ..result import Address, Flags, Number, Report, Size, Table, Words
from ..target import kernel
from ..target.cstruct import Ptr
from ..target.memory import Broken
from .addresses import PageRow, direct_map, page_table


class EntryRow(NamedTuple):
    """An entry of a page table."""

    level: Words
    table: Address
    index: Number  # type: ignore[assignment]
    entry: Address
    value: Address
    target: Address | None
    flags: Flags


class OutcomeRow(NamedTuple):
    """The result of a walk."""

    address: Address
    state: Words
    physical: Address | None
    page_size: Size | None
    rights: Words | None
    direct_map: Address | None


class FlagRow(NamedTuple):
    """A flag of an entry."""

    flag: Words
    meaning: Words


@dataclass
class WalkReport(Report, schema="walk"):
    """The entries of all levels, the result, and the page frame at the end."""

    address: str
    entries: Table[EntryRow]
    user_copy: Table[EntryRow] | None  # with page-table isolation
    outcome: Table[OutcomeRow]
    why: str | None = None  # there is no page
    flags: Table[FlagRow] | None = None
    page: Table[PageRow] | None = None


def describe(address: int, pgd: int, whose: str, mm: Ptr[MmStruct]) -> WalkReport:
    """Walk page tables.

    :param pgd: physical address of the top table
    :param whose: memory it is, in words
    :param mm: the address space of a user address, NULL for a kernel address
    """
    walk = pgtable.walk(pgd, address)
    levels = kernel.memory().levels
    rows = list(map(_entry, walk.entries))
    isolated = address < pgtable.USER_HALF and pgtable.pti_is_on()
    report = WalkReport(
        address=f"{address:#x} in {whose}, {levels} levels.",
        entries=Table(EntryRow, "", rows, walk.broken),
        user_copy=_user_copy(pgd, walk) if isolated else None,
        outcome=_outcome(walk),
    )
    if walk.broken:
        return report
    if walk.physical is None:
        report.why = f"{_explain_user(walk, mm) if mm else _explain(walk)}."
    else:
        flags = [FlagRow(flag, meaning) for flag, meaning in walk.last.flags()]
        report.flags = Table(FlagRow, f"{walk.last.name} flags", flags)
    frame = walk.physical if walk.physical is not None else walk.kept
    if frame is not None:
        report.page = page_table(frame)
    return report


def _entry(entry: pgtable.Entry) -> EntryRow:
    return EntryRow(
        level=entry.name,
        table=entry.table,
        index=entry.index,
        entry=entry.address,
        value=entry.value,
        target=entry.target if entry.is_present else None,
        flags=tuple(name for name, _ in entry.flags()),
    )


def _user_copy(pgd: int, walk: pgtable.Walk) -> Table[EntryRow]:
    """The top-level entry that user mode runs with under page-table isolation."""
    first = walk.entries[0]
    table = pgtable.user_copy(pgd)
    value = pgtable.read_entry(table, first.index)
    copy = pgtable.Entry(first.level, first.name, first.index, table, value)
    title = (
        "page-table isolation: user mode starts at its own copy of the top table; in "
        "the kernel's the entries of user memory carry NX, which counts for nobody"
    )
    return Table(EntryRow, title, [_entry(copy)])


def _outcome(walk: pgtable.Walk) -> Table[OutcomeRow]:
    state, physical, size = "broken", None, None
    rights: str | None = None
    alias: int | None = None
    if not walk.broken:
        state = "present" if walk.physical is not None else pgtable.kind(walk.last)
        physical, size = walk.physical, walk.last.size
        if physical is not None:
            rights, alias = walk.rights(), direct_map(physical)
    row = OutcomeRow(walk.address, state, physical, size, rights, alias)
    return Table(OutcomeRow, "", [row])


def _explain(walk: pgtable.Walk) -> str:
    """Why a page of the kernel's half is not there."""
    if pgtable.kind(walk.last) == "none":
        return f"Nothing is mapped here: the {walk.last.name} entry is empty"
    return f"The {walk.last.name} entry is {pgtable.explain(walk.last)}"


def _explain_user(walk: pgtable.Walk, mm: Ptr[MmStruct]) -> str:
    """Why a user page is not there, by the entry and by the area."""
    entry = f"The {walk.last.name} entry is {pgtable.explain(walk.last)}"
    try:
        found = vma.vma_lookup(mm, walk.address)
    except Broken as broken:
        return f"{entry}; which area it is in cannot be told: {broken}"
    if found is None:
        return f"{entry}; it lies in no area, to touch it means SIGSEGV"
    area = maps.area_of(found.address, mm, task.onlooker_root())
    name = area.name or area.backing
    where = f"it lies in {area.start:#x}-{area.end:#x} {area.perms} {name}"
    if pgtable.kind(walk.last) != "none":
        return f"{entry}; {where}"
    if not area.perms.startswith(("r", "-w", "--x")):
        return f"{entry}; {where}, which may not be touched"
    return f"{entry}; {where}: a page comes when it is touched"
