# SPDX-License-Identifier: GPL-2.0-only
"""lab ps: all processes, as ps shows them."""

from __future__ import annotations

from ..reports import ps as report
from ..result import Report
from .base import LabCommand


class Ps(LabCommand):
    """All processes, as ps shows them: lab ps [--json]

    One row for each process but swapper/0. Kernel threads are in brackets.
    state is the letter of /proc/PID/stat: R runs or could run, S sleeps, D sleeps
    uninterruptibly, T stopped, t traced, I idle kernel thread, Z zombie, X dead.

    Example:
        (gdb) lab ps
    """

    name = "ps"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
