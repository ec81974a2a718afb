# SPDX-License-Identifier: GPL-2.0-only
"""lab vmas: all areas of a process, like /proc/PID/maps."""

from __future__ import annotations

from ..reports import vmas as report
from ..result import Report
from .arguments import mm_of
from .base import LabCommand


class Vmas(LabCommand):
    """All areas of a process, like /proc/PID/maps: lab vmas [PID] [--json]

    One row for each area. After what maps shows: its size, its flags by the letters of
    /proc/PID/smaps, what backs it, vm_pgoff (the page of the file it starts with; for
    anonymous memory the page of the address it started at), anon_vma (0x0 until a
    private page was written) and its vm_area_struct. [vsyscall], the last row, is a
    page of the kernel, not an area of the process. File names are as seen from the first
    process's root directory.

    Example:
        (gdb) lab vmas 1
    """

    name = "vmas"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        return report.describe(mm)
