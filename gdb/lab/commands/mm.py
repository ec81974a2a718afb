# SPDX-License-Identifier: GPL-2.0-only
"""lab mm: an address space as a whole."""

from __future__ import annotations

from ..reports import mm as report
from ..result import Report
from .arguments import mm_of
from .base import LabCommand


class Mm(LabCommand):
    """An address space as a whole: lab mm [PID] [--json]

    The boundaries in its mm_struct, from low to high, each under the area that holds it;
    its counters, by their names in /proc/PID/status; resident pages by kind, where
    pending is what a thread (before Linux 6.2) or a CPU has counted but not yet added;
    and the tasks that share it or, being kernel threads, borrow it.

    Example:
        (gdb) lab mm 1
    """

    name = "mm"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        return report.describe(mm)
