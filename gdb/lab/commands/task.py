# SPDX-License-Identifier: GPL-2.0-only
"""lab task: a task_struct by theme."""

from __future__ import annotations

from ..explain import facts
from ..explain.task_members import THEMES
from ..linux import task
from ..result import Result, Table, columns
from .base import LabCommand, goes_on, task_of

COLUMNS = columns(member="text", value="text", says="text", type="text", meaning="text")


class Task(LabCommand):
    """The task_struct of a task, explained: lab task [PID] [--json]

    By theme: identity, state and exit state, scheduling, family, memory, files,
    signals, stack and thread_info. Each member with its value, what the value
    says, its C type and what it is for. A path with "->" follows a pointer;
    members that this kernel has not are left out, and so is what a NULL pointer
    would lead to.

    Example:
        (gdb) lab task 1
    """

    name = "task"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        read = task.task(address)
        said = f"{read.comm}, pid {read.pid}: struct task_struct at {address:#x}"
        if task.has_exited(address):
            said += f"; it has ended{goes_on(address)}"
        result = Result([said])
        for theme, catalogue in THEMES.items():
            table = Table(theme, COLUMNS)
            for fact in facts.facts("struct task_struct", address, catalogue):
                table.rows.append(
                    (fact.path, fact.value, fact.decoded, fact.type, fact.meaning)
                )
            result.parts.append(table)
        return result
