# SPDX-License-Identifier: GPL-2.0-only
"""lab walk: from a virtual address to its page frame."""

from __future__ import annotations

from ..linux.pgtable import USER_HALF
from ..reports import walk as report
from ..result import Report
from ..target.cstruct import NULL
from .arguments import mm_of, number, page_tables
from .base import LabCommand


class Walk(LabCommand):
    """The way of an address through the page tables: lab walk ADDRESS [PID] [--json]

    One row for each level: the table, the index of the entry, its value and what it
    points to. Then the result: the physical address, the size of the page, the access
    rights, and the direct map's address of the same byte. An entry that is not present
    is explained: never touched, PROT_NONE, swapped out, being migrated. Finally the page
    frame's struct page.

    Flags: P present, RW writable, US for user mode, PWT and PCD and PAT how it is
    cached, A accessed, D written to, PSE a large page, G global, NX not
    executable; the others are for software. ADDRESS is any expression of gdb's, in
    quotes if it has spaces.

    Examples: code of the current process, and the first page of the kernel.
        (gdb) lab walk 0x401000
        (gdb) lab walk _text
    """

    name = "walk"

    def run(self, arguments: list[str]) -> Report:
        where, pid = self.take(arguments, "ADDRESS", "[PID]")
        address = number(where, "address")
        pgd, whose = page_tables(address, pid)
        mm = mm_of(pid)[1] if address < USER_HALF else NULL
        return report.describe(address, pgd, whose, mm)
