# SPDX-License-Identifier: GPL-2.0-only
"""lab ps: all processes."""

from __future__ import annotations

from .. import process
from ..memory import Broken
from ..result import Result, Table, columns
from .base import LabCommand

COLUMNS = columns(
    pid="number",
    tgid="number",
    ppid="number",
    uid="number",
    euid="number",
    state="text",
    cpu="number",
    threads="number",
    comm="text",
    task="address",
)


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
        table = Table("", COLUMNS)
        try:
            for one in process.processes():
                table.rows.append(process_row(one))
        except Broken as broken:
            table.broken = str(broken)
        return Result([table])


def process_row(one: process.Process) -> tuple:
    """A task as a row of COLUMNS."""
    comm = f"[{one.comm}]" if one.is_kernel_thread else one.comm
    return (
        one.pid,
        one.tgid,
        one.ppid,
        one.uid,
        one.euid,
        one.state,
        one.cpu,
        one.threads,
        comm,
        one.address,
    )
