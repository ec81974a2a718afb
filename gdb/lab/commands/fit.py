# SPDX-License-Identifier: GPL-2.0-only
"""lab fit: what a request of pages gets."""

from __future__ import annotations

from ..reports import fit as report
from ..result import Report
from .arguments import number
from .base import LabCommand


class Fit(LabCommand):
    """What a request of pages gets: lab fit BYTES [--json]

    The order of the block that BYTES need, and what of it is wasted; what
    alloc_pages_exact() would give back; the block that alloc_pages() would take now on
    the selected CPU, and how it would be split.

    Examples: 128 KiB fill a block of order 5; 132 KiB take one of order 6.
        (gdb) lab fit 128*1024
        (gdb) lab fit 132*1024
    """

    name = "fit"

    def run(self, arguments: list[str]) -> Report:
        (size,) = self.take(arguments, "BYTES")
        return report.describe(number(size, "number of bytes"))
