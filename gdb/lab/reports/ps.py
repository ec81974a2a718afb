# SPDX-License-Identifier: GPL-2.0-only
"""All processes."""

from __future__ import annotations

from dataclasses import dataclass

from ..linux import process
from ..result import Report, Table
from ..target.memory import Broken
from .processes import ProcessRow, process_row


@dataclass
class PsReport(Report, schema="ps"):
    """All processes but swapper/0."""

    processes: Table[ProcessRow]


def describe() -> PsReport:
    """Walk the list of processes."""
    table = Table(ProcessRow)
    try:
        for found in process.processes():
            table.rows.append(process_row(found))
    except Broken as broken:
        table.broken = str(broken)
    return PsReport(table)
