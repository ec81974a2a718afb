# SPDX-License-Identifier: GPL-2.0-only
"""lab count: how many processes and threads there are."""

from __future__ import annotations

from ..reports import count as report
from ..result import Report
from .base import LabCommand


class Count(LabCommand):
    """How many processes, threads and kernel threads there are: lab count [--json]

    Each sum with what it is the sum of, how many are in which state, and the kernel's
    own counters beside them: nr_threads counts all tasks but the idle ones, the sum of
    process_counts all leaders. Where a task is just coming or going they may differ.

    Example:
        (gdb) lab count
    """

    name = "count"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
