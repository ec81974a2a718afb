# SPDX-License-Identifier: GPL-2.0-only
"""lab ps: all processes, as ps shows them."""

from __future__ import annotations

from typing import Iterator

from ..linux import process
from ..result import Result, Table
from ..target.memory import Broken
from .base import LabCommand
from .processes import COLUMNS, process_row


class Ps(LabCommand):
    """All processes, as ps shows them: lab ps [--json]

    One row a process, swapper/0 left out. Kernel threads are in brackets.
    state is the letter of /proc/PID/stat: R runs or could run, S sleeps, D sleeps
    uninterruptibly, T stopped, t traced, I idle kernel thread, Z zombie, X dead.

    Example:
        (gdb) lab ps
    """

    name = "ps"

    def run(self, arguments: list[str]) -> Result:
        self.take(arguments)
        return Result([_table(process.processes())])


def _table(found: Iterator[process.Process]) -> Table:
    table = Table("", COLUMNS)
    try:
        for one in found:
            table.rows.append(process_row(one))
    except Broken as broken:
        table.broken = str(broken)
    return table
