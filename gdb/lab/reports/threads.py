# SPDX-License-Identifier: GPL-2.0-only
"""All threads of all processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import process, registers
from ..result import Address, Number, Report, Table, Words
from ..target.memory import Broken, Fault
from .processes import process_row


class ThreadRow(NamedTuple):
    """A ProcessRow with the bounds of the kernel stack."""

    pid: Number
    tgid: Number
    ppid: Number
    uid: Number
    euid: Number
    state: Words
    cpu: Number
    threads: Number
    comm: Words
    task: Address
    stack: Address | None
    stack_end: Address | None


@dataclass
class ThreadsReport(Report, schema="threads"):
    """The idle tasks, then all threads, process by process."""

    threads: Table[ThreadRow]


def describe() -> ThreadsReport:
    """Walk the lists of processes and of their threads."""
    table = Table(ThreadRow)
    try:
        for thread in process.threads():
            row = process_row(thread)._asdict()
            start = registers.task_stack_page(thread.address) or None
            end = start + registers.thread_size() if start else None
            table.rows.append(ThreadRow(**row, stack=start, stack_end=end))
    except (Broken, Fault) as problem:
        table.broken = str(problem)
    return ThreadsReport(table)
