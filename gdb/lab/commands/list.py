# SPDX-License-Identifier: GPL-2.0-only
"""lab list: the list of areas, drawn."""

from __future__ import annotations

from ..reports import list as report
from ..result import Report
from .arguments import mm_of
from .base import LabCommand


class List(LabCommand):
    """The list of areas, drawn: lab list [PID] [--json]

    From mm->mmap along vm_next, one line for each area. A double arrow means that
    vm_prev leads back to the area above; where it does not, its value is shown.
    Linux 6.1 and later have no such list; the command says what they have.

    Example:
        (gdb) lab list 1
    """

    name = "list"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        return report.describe(mm)
