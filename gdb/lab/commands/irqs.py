# SPDX-License-Identifier: GPL-2.0-only
"""lab irqs: interrupts, softirqs and pending timers."""

from __future__ import annotations

from ..reports import irqs as report
from ..result import Report
from .base import LabCommand


class Irqs(LabCommand):
    """Interrupts, softirqs and pending timers: lab irqs [--json]

    Each interrupt as in /proc/interrupts, with the functions that handle it and the
    thread of a threaded handler; each softirq as in /proc/softirqs, and on which CPUs it
    waits to run; all timers that wait, and the function that each will call.

    Example:
        (gdb) lab irqs
    """

    name = "irqs"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
