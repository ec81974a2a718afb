# SPDX-License-Identifier: GPL-2.0-only
"""lab listhead: any list of the kernel."""

from __future__ import annotations

from ..reports import listhead as report
from ..result import Report
from .arguments import number
from .base import LabCommand


class Listhead(LabCommand):
    """Any struct list_head, both ways: lab listhead ADDRESS TYPE MEMBER [--json]

    ADDRESS is the head: it is no entry itself. TYPE is the structure that the entries
    are, and MEMBER the struct list_head by which they are linked; a member of a member
    is written a.b. The list is followed along next and along prev, and both must meet
    the same entries.

    Examples: all processes, and all modules.
        (gdb) lab listhead &init_task.tasks 'struct task_struct' tasks
        (gdb) lab listhead &modules 'struct module' list
    """

    name = "listhead"

    def run(self, arguments: list[str]) -> Report:
        where, kind, member = self.take(arguments, "ADDRESS", "TYPE", "MEMBER")
        return report.describe(number(where, "address"), kind, member)
