# SPDX-License-Identifier: GPL-2.0-only
"""lab kmalloc: what kmalloc() gives for what is asked."""

from __future__ import annotations

from ..reports import kmalloc as report
from ..result import Report
from .arguments import number
from .base import LabCommand


class Kmalloc(LabCommand):
    """What kmalloc() gives for what is asked: lab kmalloc [SIZE] [--json]

    Which cache serves a request of SIZE bytes, how much of it can be used (ksize()), and
    what is wasted. Without SIZE: all sizes that there are, and the curve of what is
    wasted.

    Examples: 20 bytes become 32, and 4,097 twice as many.
        (gdb) lab kmalloc 20
        (gdb) lab kmalloc 4097
    """

    name = "kmalloc"

    def run(self, arguments: list[str]) -> Report:
        (size,) = self.take(arguments, "[SIZE]")
        return report.describe(number(size, "size") if size else None)
