# SPDX-License-Identifier: GPL-2.0-only
"""lab what: what an address is, whatever it is."""

from __future__ import annotations

from ..linux import pgtable, task
from ..reports import what as report
from ..result import Report
from .arguments import mm_of, number, task_of
from .base import LabCommand


class What(LabCommand):
    """What an address is, whatever it is: lab what ADDRESS [PID] [--json]

    The most special first: a symbol and its source line; an object of a slab cache, in
    use or free, and the member at the address; how deep in whose kernel stack; a page of
    a file; anonymous memory of a process; a per-CPU variable; a module's section; whose
    page table, and what the entry there is for; a struct page, and of which frame. Then
    the page frame and the region that hold it. What is nothing is told, too.

    An address of user space is one of PID's process.

    ADDRESS is any expression of gdb's, in quotes if it has spaces.

    Examples: the task, and what it has at the top of its kernel stack.
        (gdb) lab what $lab_task()
        (gdb) lab what $rsp
    """

    name = "what"

    def run(self, arguments: list[str]) -> Report:
        where, pid = self.take(arguments, "ADDRESS", "[PID]")
        address = number(where, "address")
        if address >= pgtable.USER_HALF:
            if pid:
                task_of(pid)
            return report.describe(address, None, None)
        if not pid and task.with_memory(task_of("")) is None:
            return report.describe(address, None, None)
        return report.describe(address, *mm_of(pid))
