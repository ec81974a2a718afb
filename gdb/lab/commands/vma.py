# SPDX-License-Identifier: GPL-2.0-only
"""lab vma: the area that holds an address, explained."""

from __future__ import annotations

from ..reports import vma as report
from ..result import Report
from .arguments import mm_of, user_address
from .base import LabCommand


class Vma(LabCommand):
    """The area that holds an address, explained: lab vma ADDRESS [PID] [--json]

    Looked up in the tree, as the kernel's find_vma() does. Shows the area between its
    neighbours, what its flags mean, all members of its vm_area_struct, and how many of
    its pages are present. For an address in a gap: the areas around it, and how wide
    the gap is.

    ADDRESS is any expression of gdb's, in quotes if it has spaces.

    Examples: the area of the stack, and that of the code that called the kernel.
        (gdb) lab vma $lab_mm()->start_stack
        (gdb) lab vma 0x401000 1
    """

    name = "vma"

    def run(self, arguments: list[str]) -> Report:
        where, pid = self.take(arguments, "ADDRESS", "[PID]")
        address = user_address(where)
        _, mm = mm_of(pid)
        return report.describe(mm, address)
