# SPDX-License-Identifier: GPL-2.0-only
"""lab threads: all threads of all processes."""

from __future__ import annotations

from ..linux import process, registers
from ..result import Result, Table, columns
from ..target.memory import Broken, Fault
from .base import LabCommand
from .processes import COLUMNS, process_row

STACKS = columns(stack="address", stack_end="address")


class Threads(LabCommand):
    """All threads of all processes: lab threads [--json]

    One row a thread, those of a process one after the other: pid is the thread's
    id, tgid its process's, threads the number of threads of that process. Before
    them the idle tasks, swapper/N of each CPU, which are on no list. The columns are
    those of `lab ps`, and where the kernel stack starts and ends; a task that has
    ended gives it back.

    Example:
        (gdb) lab threads
    """

    name = "threads"

    def run(self, arguments: list[str]) -> Result:
        self.take(arguments)
        table = Table("", COLUMNS + STACKS)
        try:
            for one in process.threads():
                table.rows.append((*process_row(one), *_stack(one.address)))
        except (Broken, Fault) as problem:
            table.broken = str(problem)
        return Result([table])


def _stack(address: int) -> tuple[int | None, int | None]:
    """Where a task's kernel stack starts and ends. Raises memory.Fault."""
    start = registers.task_stack_page(address)
    return (start, start + registers.thread_size()) if start else (None, None)
