# SPDX-License-Identifier: GPL-2.0-only
"""lab vmas: all areas of a process, like /proc/PID/maps."""

from __future__ import annotations

from ..linux import maps, task
from ..result import Result, Table, columns
from ..target.memory import Broken
from .base import LabCommand, mm_of

COLUMNS = columns(
    start="address",
    end="address",
    perms="text",
    offset="address",
    dev="text",
    inode="number",
    name="text",
    size="size",
    flags="flags",
    backing="text",
    pgoff="address",
    anon_vma="address",
    vma="address",
)


class Vmas(LabCommand):
    """All areas of a process, like /proc/PID/maps: lab vmas [PID] [--json]

    One row an area. After what maps shows: its size, its flags by the letters of
    /proc/PID/smaps, what stands behind it, vm_pgoff (the page of the file it
    starts with; for anonymous memory the page of the address it started at),
    anon_vma (0x0 until a private page was written) and its vm_area_struct.
    [vsyscall], the last row, is a page of the kernel and no area of the process.
    Names are those a person in the guest's first root directory sees.

    Example:
        (gdb) lab vmas 1
    """

    name = "vmas"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        table = Table("", COLUMNS)
        try:
            table.rows.extend(maps.for_each_area(mm, task.onlooker_root()))
        except Broken as broken:
            table.broken = str(broken)
        return Result([table])
