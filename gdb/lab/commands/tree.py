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

    Parents and children by the kernel's lists, from swapper/0 or the process PID down.
    After the name come the pid, the state unless the process sleeps, and the number of
    threads if it has more than one.

    Example:
        (gdb) lab tree 1
    """

    name = "tree"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        return report.describe(task_of(pid) if pid else NULL)
