# SPDX-License-Identifier: GPL-2.0-only
"""lab threads: all threads of all processes."""

from __future__ import annotations

from ..reports import threads as report
from ..result import Report
from .base import LabCommand


class Threads(LabCommand):
    """All threads of all processes: lab threads [--json]

    One row a thread, those of a process one after the other: pid is the thread's
    id, tgid its process's, threads the number of threads of that process. Before
    them the idle tasks, swapper/N of each CPU, which are on no list. The columns are
    those of `lab ps`, and where the kernel stack starts and ends; a task that has
    ended gives it back.

    Example:
        (gdb) lab threads
    """

    name = "threads"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
