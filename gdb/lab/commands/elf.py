# SPDX-License-Identifier: GPL-2.0-only
"""lab elf: the program's headers beside the areas they became."""

from __future__ import annotations

from ..reports import elf as report
from ..result import Report
from .arguments import mm_of
from .base import LabCommand


class Elf(LabCommand):
    """The program beside the areas it became: lab elf [PID] [FILE] [--json]

    The ELF header, the program headers and where each was loaded; for each LOAD the
    areas that the kernel made of it, and why they differ from it; the auxiliary vector,
    which tells the program about them; the sections. Everything is read from the guest's
    memory. If the program's file is not completely in the page cache, the sections come
    from FILE, the same program on the host.

    Example:
        (gdb) lab elf 1
        (gdb) lab elf 1 /bin/busybox
    """

    name = "elf"

    def run(self, arguments: list[str]) -> Report:
        pid, name = self.take(arguments, "[PID]", "[FILE]")
        _, mm = mm_of(pid)
        return report.describe(mm, name)
