# SPDX-License-Identifier: GPL-2.0-only
"""lab random: what is randomised, and by how much."""

from __future__ import annotations

from ..reports import random as report
from ..result import Report
from ..target import fits
from ..target.debugger import Refused
from .arguments import mm_of
from .base import LabCommand


class Random(LabCommand):
    """What is randomised here, and by how much: lab random [PID] [--json]

    For a process: its stack, mmap_base, program, interpreter, heap and vdso, each beside
    the address it would have without randomisation, and among how many places exec chose.
    For the kernel: its image, direct map, vmalloc, vmemmap, modules, stacks, each with the
    bits of entropy it has now and could have. Last the switches: options of the kernel,
    its command line, randomize_va_space, the personality.

    "fits" says whether an address is one that the kernel can have chosen. In a kernel
    that KASLR has moved, only the kernel's part is shown: no other command works there.

    Example:
        (gdb) lab random 1
    """

    name = "random"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        try:
            return report.describe(mm_of(pid))
        except Refused as why:
            if pid:
                raise
            return report.describe(str(why))  # the selected CPU runs a kernel thread

    def answer(self, arguments: list[str]) -> Report:
        try:
            return super().answer(arguments)
        except fits.Moved as why:
            (pid,) = self.take(arguments, "[PID]")
            if pid:
                raise
            return report.describe_moved(why.offset)
