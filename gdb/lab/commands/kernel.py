# SPDX-License-Identifier: GPL-2.0-only
"""lab kernel: the kernel's half of the address space."""

from __future__ import annotations

from ..reports import kernel as report
from ..result import Report
from .base import LabCommand


class Kernel(LabCommand):
    """The kernel's half of the address space: lab kernel [--json]

    Its regions with base and size, for the page-table levels this kernel runs with,
    and how much of each is mapped now; the space between them is unused. The vsyscall
    page lies in the fixmap, and the fixmap's pages above it are unused, too.
    Then the parts of the kernel image with their physical addresses and rights, the
    fixed addresses that are mapped, and the loaded modules.

    Example:
        (gdb) lab kernel
    """

    name = "kernel"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
