# SPDX-License-Identifier: GPL-2.0-only
"""lab tree: the family tree of the processes."""

from __future__ import annotations

from ..reports import tree as report
from ..result import Report
from ..target.cstruct import NULL
from .arguments import task_of
from .base import LabCommand


class Tree(LabCommand):
    """The family tree of the processes: lab tree [PID] [--json]

    Who made whom, as the kernel's lists of children and siblings have it, from
    swapper/0 or the process PID down. Behind the name is the pid, then the state
    unless it sleeps, and the number of threads if there are more than one.

    Example:
        (gdb) lab tree 1
    """

    name = "tree"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        return report.describe(task_of(pid) if pid else NULL)
