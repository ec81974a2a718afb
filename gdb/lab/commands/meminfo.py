# SPDX-License-Identifier: GPL-2.0-only
"""lab meminfo: /proc/meminfo, and the counters behind it."""

from __future__ import annotations

from ..reports import meminfo as report
from ..result import Report
from .base import LabCommand


class Meminfo(LabCommand):
    """/proc/meminfo, and the counters each line comes from: lab meminfo [--json]

    The kernel's counters are in pages unless kib says otherwise; a line is their sum in
    KiB, and never negative. What CPUs have not yet added to a counter is missing here
    as it is in /proc/meminfo; `lab zones` shows it as pending.

    Example:
        (gdb) lab meminfo
    """

    name = "meminfo"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
