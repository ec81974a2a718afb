# SPDX-License-Identifier: GPL-2.0-only
"""lab maple: the maple tree of areas, drawn."""

from __future__ import annotations

from ..reports import maple as report
from ..result import Report
from .arguments import mm_of
from .base import LabCommand


class Maple(LabCommand):
    """The maple tree of areas, drawn: lab maple [PID] [--json]

    Each node with its type, the range of addresses it covers, its slots in use, and its
    metadata. A slot is shown by its last address, the pivot: in an arange_64 node with
    the widest gap below it, and under it the node it points to; in a leaf with its area
    or the gap it stands for. Then the rules of a maple tree, checked.
    Kernels before Linux 6.1 have no maple tree; the command says what they have.

    Example:
        (gdb) lab maple 1
    """

    name = "maple"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        return report.describe(mm)
