# SPDX-License-Identifier: GPL-2.0-only
"""lab rb: the red-black tree of areas, drawn."""

from __future__ import annotations

from ..reports import rb as report
from ..result import Report
from .arguments import mm_of
from .base import LabCommand


class Rb(LabCommand):
    """The red-black tree of areas, drawn: lab rb [PID] [--json]

    The tree lies on its side: the root is at the left, and from top to bottom the areas
    are in order of their addresses. Each node has its colour (B black, R red), its area,
    and rb_subtree_gap, the widest gap before an area of its subtree, by which the kernel
    finds room for a new one. Then the rules of a red-black tree, checked. Linux 6.1 and
    later have no such tree; the command says what they have.

    Example:
        (gdb) lab rb 1
    """

    name = "rb"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        return report.describe(mm)
