# SPDX-License-Identifier: GPL-2.0-only
"""lab map: an address space as a picture."""

from __future__ import annotations

from ..reports import map as report
from ..result import Report
from .arguments import mm_of
from .base import LabCommand


class Map(LabCommand):
    """The address space as a picture: lab map [PID] [--json]

    High addresses are at the top: the kernel's half, the non-canonical addresses, the
    user's half. Bars are to scale within a group of segments (stack, mapped, heap,
    program, ...), whose head says how much a block stands for; dots are gaps, and those
    between groups are not to scale. A triangle marks the boundaries the mm_struct keeps.
    Fits 80 columns.

    Example:
        (gdb) lab map 1
    """

    name = "map"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        owner, mm = mm_of(pid)
        return report.describe(owner, mm)
