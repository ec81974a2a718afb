# SPDX-License-Identifier: GPL-2.0-only
"""An address space as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import boundaries, maps, mm as mm_, pgtable, rss, task
from ..linux.boundaries import Boundary
from ..linux.structs.fs import Path
from ..linux.structs.mm_types import MmStruct
from ..linux.structs.sched import TaskStruct
from ..result import Address, Drawing, Number, Report, Size, Table, Words
from ..sizes import size_text
from ..target import kernel
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE, Broken


class CounterRow(NamedTuple):
    """A counter of a struct mm_struct."""

    counter: Words
    value: Number
    size: Size | None
    meaning: Words


class RssRow(NamedTuple):
    """Resident pages of a kind."""

    pages_of: Words
    counted: Number
    pending: Number
    pages: Number
    size: Size
    meaning: Words


class UserRow(NamedTuple):
    """A task that uses an address space."""

    pid: Number
    tgid: Number
    comm: Words
    how: Words
    task: Address


MEANINGS = {
    "file": "of mapped files: RssFile",
    "anon": "private and written: RssAnon",
    "shmem": "of shared memory and tmpfs: RssShmem",
    "swap": "swapped out: VmSwap",
}

# Counter, bytes in one (0: not a size), meaning
COUNTED = (
    ("map_count", 0, "areas"),
    ("total_vm", PAGE_SIZE, "pages of address space: VmSize"),
    ("data_vm", PAGE_SIZE, "of them private and writable: VmData"),
    ("exec_vm", PAGE_SIZE, "of them code: VmExe and VmLib"),
    ("stack_vm", PAGE_SIZE, "of them stack: VmStk"),
    ("locked_vm", PAGE_SIZE, "of them locked with mlock(): VmLck"),
    ("pinned_vm", PAGE_SIZE, "held in place for a device: VmPin"),
    ("hiwater_vm", PAGE_SIZE, "total_vm at its highest, when last shrunk: VmPeak"),
    ("hiwater_rss", PAGE_SIZE, "resident pages at their highest, likewise: VmHWM"),
    ("hugetlb_usage", PAGE_SIZE, "pages in huge pages of the pool: HugetlbPages"),
    ("pgtables_bytes", 1, "in page tables: VmPTE"),
    ("mm_users", 0, "tasks that use it, and who is looking at it now"),
    ("mm_count", 0, "references; all mm_users together are one"),
)


@dataclass
class MmReport(Report, schema="mm"):
    """An address space: its boundaries, counters, resident pages, and who uses it."""

    mm: str
    boundaries: Drawing[list[Boundary]]
    counters: Table[CounterRow]
    resident: Table[RssRow]
    users: Table[UserRow]


def describe(mm: Ptr[MmStruct]) -> MmReport:
    """Read an address space, and find the tasks that use it."""
    read = MmStruct(kernel.memory(), mm)
    shared, owners = _users(mm)
    drawing, counters = _boundaries(mm), _counters(read)
    return MmReport(_heading(mm, read), drawing, counters, _rss(mm, owners), shared)


def _heading(mm: Ptr[MmStruct], read: MmStruct) -> str:
    physical = mm_.virt_to_phys(read.pgd)
    heading = (
        f"mm_struct {mm:#x}; its page tables start at pgd {read.pgd:#x} "
        f"(physical {physical:#x}), {kernel.memory().levels} levels"
    )
    if pgtable.pti_is_on():
        heading += f"; user mode runs on a copy at {pgtable.user_copy(physical):#x}"
    return f"{heading}. flags {mm_.flags_of(read):#x}, def_flags {read.def_flags:#x}."


def _boundaries(mm: Ptr[MmStruct]) -> Drawing[list[Boundary]]:
    """The boundaries of mm_struct, each under the area that holds it."""
    data: list[Boundary] = []
    drawing = Drawing("boundaries, from low to high", [], data)
    try:
        found = boundaries.boundaries(mm)
    except Broken as broken:
        drawing.broken = str(broken)
        return drawing
    root = task.onlooker_root()
    before = None
    for i, boundary in enumerate(found):
        if boundary.vma != before:
            name = _area_text(boundary, mm, root)
            drawing.lines.append(name)
        before = boundary.vma
        is_last = i + 1 == len(found) or found[i + 1].vma != boundary.vma
        branch = "└" if is_last else "├"
        place = f"{boundary.address:#014x}  {boundary.name:<16}"
        drawing.lines.append(f"  {branch}─ {place}  {boundary.meaning}")
        drawing.data.append(boundary)
    return drawing


def _area_text(boundary: Boundary, mm: Ptr[MmStruct], root: Ptr[Path]) -> str:
    if not boundary.vma:
        return "in no area"
    found = maps.area_of(boundary.vma, mm, root)
    addresses = f"{boundary.start:#014x}-{boundary.end:#014x}"
    name, size = found.name or found.backing, size_text(found.size)
    return f"{addresses} {found.perms} {name} ({size})"


def _counters(read: MmStruct) -> Table[CounterRow]:
    table = Table(CounterRow, "counters")
    for name, unit, meaning in COUNTED:
        value = getattr(read, name)
        if value is not None:
            size = value * unit if unit else None
            table.rows.append(CounterRow(name, value, size, meaning))
    return table


def _rss(mm: Ptr[MmStruct], owners: list[Ptr[TaskStruct]]) -> Table[RssRow]:
    table = Table(RssRow, "resident pages")
    counters = rss.rss_stat(mm, owners)
    resident = [counter for counter in counters if counter.kind != "swap"]
    for counter in counters:
        row = RssRow(
            pages_of=counter.kind,
            counted=counter.counted,
            pending=counter.pending,
            pages=counter.pages,
            size=counter.pages * PAGE_SIZE,
            meaning=MEANINGS[counter.kind],
        )
        table.rows.append(row)
    counted, pages = (
        sum(counter.counted for counter in resident),
        sum(counter.pages for counter in resident),
    )
    table.rows.append(
        RssRow(
            pages_of="resident",
            counted=counted,
            pending=pages - counted,
            pages=pages,
            size=pages * PAGE_SIZE,
            meaning="file, anon and shmem: VmRSS",
        )
    )
    return table


def _users(mm: Ptr[MmStruct]) -> tuple[Table[UserRow], list[Ptr[TaskStruct]]]:
    table = Table(UserRow, "used by")
    owners: list[Ptr[TaskStruct]] = []
    try:
        owners, borrowers = rss.users(mm)
    except Broken as broken:
        table.broken = str(broken)
        return table, owners
    for how, tasks in (("its own", owners), ("borrowed", borrowers)):
        for address in tasks:
            user = task.task(address)
            table.rows.append(UserRow(user.pid, user.tgid, user.comm, how, address))
    return table, owners
