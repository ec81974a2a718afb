# SPDX-License-Identifier: GPL-2.0-only
"""lab task: a task_struct by theme."""

from __future__ import annotations

from ..reports import task as report
from ..result import Report
from .arguments import task_of
from .base import LabCommand


class Task(LabCommand):
    """The task_struct of a task, explained: lab task [PID] [--json]

    By theme: identity, state and exit state, scheduling, family, memory, files,
    signals, stack and thread_info. Each member with its value, the value in words,
    its C type and what it is for. A path with "->" follows a pointer; members that
    this kernel lacks are omitted, and so is what is behind a NULL pointer.

    Example:
        (gdb) lab task 1
    """

    name = "task"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        return report.describe(address)
