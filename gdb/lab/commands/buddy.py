# SPDX-License-Identifier: GPL-2.0-only
"""lab buddy: the free lists of the page allocator."""

from __future__ import annotations

from ..reports import buddy as report
from ..result import Report
from .arguments import number
from .base import LabCommand


class Buddy(LabCommand):
    """The free lists of the page allocator: lab buddy [ZONE] [ORDER] [--json]

    Free memory is kept in blocks of 2**order pages, and each block starts at a multiple
    of its size. In each zone there is a list for each order and migrate type, so that
    what can be moved does not end up between what cannot: see /proc/buddyinfo and
    /proc/pagetypeinfo. The free pages that CPUs keep for themselves are not in these
    lists; `lab zones` counts them.

    With ORDER, the blocks of that order: first frame, type, address in the direct map.

    Examples: all zones, and the largest free blocks of one.
        (gdb) lab buddy
        (gdb) lab buddy DMA32 10
    """

    name = "buddy"

    def run(self, arguments: list[str]) -> Report:
        zone, order = self.take(arguments, "[ZONE]", "[ORDER]")
        return report.describe(zone, number(order, "order") if order else None)
