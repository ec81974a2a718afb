# SPDX-License-Identifier: GPL-2.0-only
"""lab dmesg: the kernel's log."""

from __future__ import annotations

from ..reports import dmesg as report
from ..result import Report
from .base import LabCommand


class Dmesg(LabCommand):
    """The kernel's log: lab dmesg [LEVEL] [--json]

    Each message with its time, its level and who printed it: T and a thread's id, or C
    and a CPU's number. LEVEL leaves out what is less important: emerg, alert, crit, err,
    warn, notice, info or debug. Pointers that %p has hashed are turned back where they
    are of an object, a symbol or an area that is there now.

    Example: what went wrong.
        (gdb) lab dmesg warn
    """

    name = "dmesg"

    def run(self, arguments: list[str]) -> Report:
        (level,) = self.take(arguments, "[LEVEL]")
        return report.describe(level)
