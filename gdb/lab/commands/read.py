# SPDX-License-Identifier: GPL-2.0-only
"""lab read: bytes of any address space."""

from __future__ import annotations

from ..reports import read as report
from ..reports.addresses import canonical
from ..result import Report
from ..sizes import size_text
from ..target import kernel
from ..target.debugger import Refused
from .arguments import number, page_tables
from .base import LabCommand

MOST = 1 << 20  # bytes of one command


class Read(LabCommand):
    """Bytes of any process's or the kernel's memory: lab read ADDRESS LENGTH [PID] [--json]

    In hexadecimal and as text; a star stands for lines like the one above. Works for
    processes that are not running, reads through PROT_NONE, and never faults a page in:
    where a page is missing it says why.

    Examples: the arguments of process 1, and the kernel's banner.
        (gdb) lab read $lab_mm(1)->arg_start 32 1
        (gdb) lab read linux_banner 64
    """

    name = "read"

    def run(self, arguments: list[str]) -> Report:
        where, length, pid = self.take(arguments, "ADDRESS", "LENGTH", "[PID]")
        address, size = number(where, "address"), number(length, "length")
        if not 0 < size <= MOST:
            raise Refused(
                f"LENGTH is {size}: give 1 to {MOST} bytes ({size_text(MOST)})."
            )
        pgd, whose = page_tables(address, pid)
        end = address + size - 1
        if end >> 64 or (end ^ address) >> 63:
            raise Refused(
                f"{size} bytes from {address:#x} reach over the end of its half."
            )
        canonical(end, kernel.memory().levels)
        return report.describe(pgd, whose, address, size)
