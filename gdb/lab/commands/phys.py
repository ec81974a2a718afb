# SPDX-License-Identifier: GPL-2.0-only
"""lab phys: what stands at a physical address."""

from __future__ import annotations

from ..reports import phys as report
from ..result import Report
from .arguments import number
from .base import LabCommand


class Phys(LabCommand):
    """What stands at a physical address: lab phys [ADDRESS] [--json]

    The kernel addresses of the same byte, in the direct map and, for the kernel's
    own image, in that; which part of the physical address space it is, as
    /proc/iomem tells; and its page frame. A kernel address is taken too, and
    first translated. Without ADDRESS, all of /proc/iomem.

    A page frame is free if it is in a block of the buddy allocator or on a list of a
    CPU's. Of a block that is not compound the kernel keeps no size: then order is
    empty, and used_as says what can be told.

    Examples: the second MiB of RAM, and back from an address of the direct map.
        (gdb) lab phys 0x100000
        (gdb) lab phys $lab_task()
    """

    name = "phys"

    def run(self, arguments: list[str]) -> Report:
        (where,) = self.take(arguments, "[ADDRESS]")
        return report.describe(number(where, "address") if where else None)
