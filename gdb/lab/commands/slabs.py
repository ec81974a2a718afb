# SPDX-License-Identifier: GPL-2.0-only
"""lab slabs: the caches of the slab allocator."""

from __future__ import annotations

from ..reports import slabs as report
from ..result import Report
from .base import LabCommand


class Slabs(LabCommand):
    """The caches of the slab allocator: lab slabs [CACHE] [--json]

    A cache has objects of one size; they are cut out of slabs, blocks of pages. One row
    for each cache, as in /proc/slabinfo: objects in use and in all, the size of an object
    and of its slot, the objects and the order of a new slab. Caches of the same size may
    have been merged; then one name stands for several.

    With CACHE, all its slabs, those that are full too, and which objects of each are
    free; for some caches also what each object is.

    Examples: all caches, and all tasks.
        (gdb) lab slabs
        (gdb) lab slabs task_struct
    """

    name = "slabs"

    def run(self, arguments: list[str]) -> Report:
        (cache,) = self.take(arguments, "[CACHE]")
        return report.describe(cache)
