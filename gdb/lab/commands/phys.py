# SPDX-License-Identifier: GPL-2.0-only
"""lab phys: what is at a physical address."""

from __future__ import annotations

from ..reports import phys as report
from ..result import Report
from .arguments import number
from .base import LabCommand


class Phys(LabCommand):
    """What stands at a physical address: lab phys [ADDRESS] [--json]

    The kernel's addresses of the same byte, in the direct map and, if it belongs to the
    kernel image, there; the part of the physical address space it lies in, as in
    /proc/iomem; and its page frame. A kernel address is accepted, too, and translated
    first. Without ADDRESS, all of /proc/iomem.

    A page frame is free if it is in a block of the buddy allocator or on a free list of
    a CPU. The kernel keeps no size for a block that is not compound: then order is
    empty, and used_as says what is known.

    Examples: the second MiB of RAM, and back from an address of the direct map.
        (gdb) lab phys 0x100000
        (gdb) lab phys $lab_task()
    """

    name = "phys"

    def run(self, arguments: list[str]) -> Report:
        (where,) = self.take(arguments, "[ADDRESS]")
        return report.describe(number(where, "address") if where else None)
