# SPDX-License-Identifier: GPL-2.0-only
"""lab threads: all threads of all processes."""

from __future__ import annotations

from ..reports import threads as report
from ..result import Report
from .base import LabCommand


class Threads(LabCommand):
    """All threads of all processes: lab threads [--json]

    One row for each thread, process by process: pid is the thread's id, tgid its
    process's, threads the number of threads of that process. First come the idle tasks,
    swapper/N of each CPU, which are on no list. The columns are those of `lab ps`, then
    start and end of the kernel stack, which a task that has ended no longer has.

    Example:
        (gdb) lab threads
    """

    name = "threads"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
