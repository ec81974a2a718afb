# SPDX-License-Identifier: GPL-2.0-only
"""lab mm: an address space as a whole."""

from __future__ import annotations

from ..linux import boundaries, maps, mm as mm_, pgtable, rss, task
from ..linux.structs.mm_types import MmStruct
from ..result import Drawing, Result, Table, columns
from ..sizes import size_text
from ..target import kernel
from ..target.memory import PAGE_SIZE, Broken
from .base import LabCommand, mm_of

COUNTERS = columns(counter="text", value="number", size="size", meaning="text")
RSS = columns(
    pages_of="text",
    counted="number",
    pending="number",
    pages="number",
    size="size",
    meaning="text",
)
USERS = columns(pid="number", tgid="number", comm="text", how="text", task="address")
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
    ("hugetlb_usage", PAGE_SIZE, "pages in huge pages from the pool: HugetlbPages"),
    ("pgtables_bytes", 1, "in page tables: VmPTE"),
    ("mm_users", 0, "tasks that use it, and who looks at it just now"),
    ("mm_count", 0, "references; all mm_users together are one"),
)


class Mm(LabCommand):
    """An address space as a whole: lab mm [PID] [--json]

    The boundaries the kernel keeps of it, from low to high, each under the area it
    lies in; its counters, with the names they have in /proc/PID/status; resident
    pages by kind, where pending is what a thread (before Linux 6.2) or a CPU has
    counted but not yet added; and the tasks that share it or, being kernel
    threads, borrow it.

    Example:
        (gdb) lab mm 1
    """

    name = "mm"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        read = MmStruct(kernel.memory(), mm)
        shared, owners = _users(mm)
        return Result(
            [
                _heading(mm, read),
                _boundaries(mm),
                _counters(read),
                _rss(mm, owners),
                shared,
            ]
        )


def _heading(mm: int, read: MmStruct) -> str:
    physical = mm_.virt_to_phys(read.pgd)
    said = (
        f"mm_struct {mm:#x}; its page tables start at pgd {read.pgd:#x} "
        f"(physical {physical:#x}), {kernel.memory().levels} levels"
    )
    if pgtable.pti_is_on():
        said += f"; user mode runs on a copy at {pgtable.user_copy(physical):#x}"
    return f"{said}. flags {mm_.flags_of(read):#x}, def_flags {read.def_flags:#x}."


def _boundaries(mm: int) -> Drawing:
    """Each area with the boundaries that lie in it."""
    drawing = Drawing("boundaries, from low to high", [], [])
    try:
        found = boundaries.boundaries(mm)
    except Broken as broken:
        drawing.broken = str(broken)
        return drawing
    root = task.onlooker_root()
    before = None
    for i, one in enumerate(found):
        if one.vma != before:
            name = _area_text(one, mm, root)
            drawing.lines.append(name)
        before = one.vma
        is_last = i + 1 == len(found) or found[i + 1].vma != one.vma
        drawing.lines.append(
            f"  {'└' if is_last else '├'}─ {one.address:#014x}  {one.name:<16}  {one.meaning}"
        )
        drawing.data.append(one._asdict())
    return drawing


def _area_text(one: boundaries.Boundary, mm: int, root: int) -> str:
    if not one.vma:
        return "in no area"
    found = maps.area_of(one.vma, mm, root)
    size = size_text(found.size)
    return f"{one.start:#014x}-{one.end:#014x} {found.perms} {found.name or found.backing} ({size})"


def _counters(read: MmStruct) -> Table:
    table = Table("counters", COUNTERS)
    for name, unit, meaning in COUNTED:
        value = getattr(read, name)
        if value is not None:
            size = value * unit if unit else None
            table.rows.append((name, value, size, meaning))
    return table


def _rss(mm: int, owners: list[int]) -> Table:
    table = Table("resident pages", RSS)
    counters = rss.rss_stat(mm, owners)
    resident = [one for one in counters if one.kind != "swap"]
    for one in counters:
        table.rows.append((*one, one.pages, one.pages * PAGE_SIZE, MEANINGS[one.kind]))
    counted, pages = (
        sum(one.counted for one in resident),
        sum(one.pages for one in resident),
    )
    table.rows.append(
        (
            "resident",
            counted,
            pages - counted,
            pages,
            pages * PAGE_SIZE,
            "file, anon and shmem: VmRSS",
        )
    )
    return table


def _users(mm: int) -> tuple[Table, list[int]]:
    table = Table("used by", USERS)
    owners: list[int] = []
    try:
        owners, borrowers = rss.users(mm)
    except Broken as broken:
        table.broken = str(broken)
        return table, owners
    for how, tasks in (("its own", owners), ("borrowed", borrowers)):
        for address in tasks:
            one = task.task(address)
            table.rows.append((one.pid, one.tgid, one.comm, how, address))
    return table, owners
