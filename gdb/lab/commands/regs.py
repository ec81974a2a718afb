# SPDX-License-Identifier: GPL-2.0-only
"""lab regs: the registers a task has in user mode."""

from __future__ import annotations

from ..reports import regs as report
from ..result import Report
from .arguments import task_of
from .base import LabCommand


class Regs(LabCommand):
    """The registers a task has in user mode: lab regs [PID] [--json]

    Those that entry code saved at the top of the task's kernel stack, its
    pt_regs; or, for a task that runs in user mode now, those of its CPU.
    orig_ax is the number of the system call the task is in; it is negative after
    an interrupt or exception. An address is followed by what it lies in: a file
    and the offset in it, or the stack, heap, ... and the offset in that.

    Example:
        (gdb) lab regs 1
    """

    name = "regs"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        return report.describe(address)
