# SPDX-License-Identifier: GPL-2.0-only
"""lab current: what each CPU is doing."""

from __future__ import annotations

from ..reports import current as report
from ..result import Report
from .base import LabCommand


class Current(LabCommand):
    """The task on each processor, and what it does: lab current [--json]

    One row for each CPU: its number in the kernel, gdb's thread, the running task,
    the mode (user, kernel), the context by preempt_count (process, softirq,
    hardirq, NMI), how the task entered the kernel (a system call, an interrupt, an
    exception, idle, a kernel thread; an interrupt of one of these is "... in ..."),
    and where it is. Entry code counts a hardirq only after its first instructions;
    until then entry and context disagree.

    The second table has the parts of preempt_count: how deep preemption is
    disabled (counted only by kernels with CONFIG_PREEMPT_COUNT), how deep
    softirqs are, whether one runs, how deep hardirqs and NMIs are.

    Example:
        (gdb) lab current
    """

    name = "current"

    def run(self, arguments: list[str]) -> Report:
        self.take(arguments)
        return report.describe()
