# SPDX-License-Identifier: GPL-2.0-only
"""lab kstack: the kernel backtrace of a task."""

from __future__ import annotations

from ..reports import kstack as report
from ..result import Report
from .arguments import task_of
from .base import LabCommand


class Kstack(LabCommand):
    """The kernel backtrace of a task: lab kstack [PID] [--json]

    For a task that sleeps from where the scheduler left it; for one that runs
    from the registers of its processor. Symbols are as the kernel prints them,
    those of a module with its name behind: rd+0xe/0x20 [hello].
    kind is "running" for where a processor is, "call" for a return address,
    "scheduler" for one that /proc/PID/stack leaves out, "start" for where a new
    task will begin, "interrupted" for where an interrupt or exception came, and
    "user" for where user mode goes on.
    function is what the source line belongs to if it was inlined; stack is the
    one the frame is on: task, irq, entry, or that of an exception; place is
    where the frame, or the saved registers, start.

    Example:
        (gdb) lab kstack 1
    """

    name = "kstack"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        return report.describe(address)
