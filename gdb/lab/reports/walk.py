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
    """What came of a walk."""

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
    """The entries on the way, what came of it, and the page frame at the end."""

    address: str
    entries: Table[EntryRow]
    user_copy: Table[EntryRow] | None  # with page-table isolation
    outcome: Table[OutcomeRow]
    why: str | None = None  # there is no page
    flags: Table[FlagRow] | None = None
    page: Table[PageRow] | None = None


def describe(address: int, pgd: int, whose: str, mm: Ptr[MmStruct]) -> WalkReport:
    """Walk the page tables below the physical address pgd.

    Parameters: whose memory that is, in words, and its struct mm_struct *, 0 for the
    kernel's.
    """
    walk = pgtable.walk(pgd, address)
    levels = kernel.memory().levels
    rows = [_entry(one) for one in walk.entries]
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
        report.why = f"{_explain(walk, mm)}."
    else:
        flags = [FlagRow(*flag) for flag in walk.last.flags()]
        report.flags = Table(FlagRow, f"{walk.last.name} flags", flags)
    frame = walk.physical if walk.physical is not None else walk.kept
    if frame is not None:
        report.page = page_table(frame)
    return report


def _entry(one: pgtable.Entry) -> EntryRow:
    target = one.target if one.is_present else None
    names = tuple(name for name, _ in one.flags())
    place = one.name, one.table, one.index, one.address
    return EntryRow(*place, one.value, target, names)


def _user_copy(pgd: int, walk: pgtable.Walk) -> Table[EntryRow]:
    """With page-table isolation: the entry with which user mode runs."""
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


def _explain(walk: pgtable.Walk, mm: Ptr[MmStruct]) -> str:
    """Why a page is not there: what the entry says, and what the area says."""
    said = pgtable.explain(walk.last)
    if walk.address >= pgtable.USER_HALF:
        if pgtable.kind(walk.last) == "none":
            return f"Nothing is mapped here: the {walk.last.name} entry is empty"
        return f"The {walk.last.name} entry is {said}"
    said = f"The {walk.last.name} entry is {said}"
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
