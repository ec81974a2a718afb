# SPDX-License-Identifier: GPL-2.0-only
"""lab kstack: the kernel backtrace of a task."""

from __future__ import annotations

from ..reports import kstack as report
from ..result import Report
from .arguments import task_of
from .base import LabCommand


class Kstack(LabCommand):
    """The kernel backtrace of a task: lab kstack [PID] [--json]

    A sleeping task's begins where the scheduler switched it out, a running task's with
    the registers of its CPU. Symbols are as the kernel prints them, those of a module
    with its name behind: rd+0xe/0x20 [hello].
    kind is "running" for what a CPU executes, "call" for a return address,
    "scheduler" for one that /proc/PID/stack leaves out, "start" for where a new
    task will begin, "interrupted" for where an interrupt or exception hit, and
    "user" for where user mode resumes.
    function is the inlined function that the source line belongs to; stack is the
    one the frame is on: task, irq, entry, or that of an exception; place is the
    address of the frame, or of the saved registers.

    Example:
        (gdb) lab kstack 1
    """

    name = "kstack"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        return report.describe(address)
