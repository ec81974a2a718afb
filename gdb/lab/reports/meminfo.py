# SPDX-License-Identifier: GPL-2.0-only
"""The lines of /proc/meminfo, and what each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import meminfo, startup
from ..result import Number, Report, Table, Words


class MeminfoRow(NamedTuple):
    """A line of /proc/meminfo."""

    line: Words
    value: Number
    unit: Words
    made_of: Words


class TermRow(NamedTuple):
    """A counter that a line is made of."""

    line: Words
    counter: Words
    value: Number
    kib: Number  # for each one counted; negative if it is taken away


@dataclass
class MeminfoReport(Report, schema="meminfo"):
    """All lines of /proc/meminfo, and the counters behind them."""

    lines: Table[MeminfoRow]
    counters: Table[TermRow]


def describe() -> MeminfoReport:
    """Read the counters. Raises memory.Fault."""
    startup.need_page_allocator()
    lines, counters = Table(MeminfoRow), Table(TermRow, "counters")
    for line in meminfo.lines():
        row = MeminfoRow(line.name, line.value, line.unit, _made_of(line))
        lines.rows.append(row)
        for term in line.terms:
            kib = term.sign * term.kib
            counters.rows.append(TermRow(line.name, term.counter, term.value, kib))
    return MeminfoReport(lines, counters)


def _made_of(line: meminfo.Line) -> str:
    """NR_ACTIVE_ANON + NR_ACTIVE_FILE, and what is done to the sum."""
    text = ""
    for term in line.terms:
        before = " + " if text else ""
        if term.sign < 0:
            before = " - " if text else "-"
        text += f"{before}{term.counter}"
    return "; ".join(filter(None, (text, line.note)))
