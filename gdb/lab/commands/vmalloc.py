# SPDX-License-Identifier: GPL-2.0-only
"""lab vmalloc: the vmalloc region."""

from __future__ import annotations

from ..reports import vmalloc as report
from ..result import Report
from .base import LabCommand


class Vmalloc(LabCommand):
    """The vmalloc region: lab vmalloc [--json]

    One row for each range: address and size with the guard page behind it, pages,
    purpose and who asked for it, as in /proc/vmallocinfo, which hashes the addresses.
    ioremap shows a device's memory, vmalloc and vmap RAM that is in one piece only here;
    kernel stacks are there, too. vm_map_ram is a short-lived mapping, an unpurged
    vm_area one that was given back but may still be in TLBs.

    Example:
        (gdb) lab vmalloc
    """

    name = "vmalloc"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
