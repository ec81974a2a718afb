# SPDX-License-Identifier: GPL-2.0-only
"""lab frames: who owns each page frame."""

from __future__ import annotations

from ..reports import frames as report
from ..result import Report
from .base import LabCommand


class Frames(LabCommand):
    """A census of RAM: lab frames [--json]

    Every page frame has exactly one owner: the kernel image, what was reserved at boot,
    the free lists, a slab cache, a page table, a kernel stack, a module, vmalloc, a
    process's anonymous memory, a file's page cache. What is left belongs to the kernel:
    pages that it got from the page allocator, and of which no structure says what for.
    Then a map of RAM to scale, and the owners by name. A page that several processes
    share counts for the first of them.

    Example:
        (gdb) lab frames
    """

    name = "frames"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
