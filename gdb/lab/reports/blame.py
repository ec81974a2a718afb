# SPDX-License-Identifier: GPL-2.0-only
"""Which instruction changed a byte last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import gdb

from ..linux.processors import this_processor
from ..linux.task import get_current, task
from ..replay.blame import blame
from ..result import Address, Number, Report, Table, Words


class BlameRow(NamedTuple):
    """The instruction, who executed it, and what it made of the byte."""

    instruction: Number
    pid: Number
    comm: Words
    before: Address | None
    after: Address
    mode: Words
    stops: Number


@dataclass
class BlameReport(Report, schema="blame"):
    """The instruction that changed a byte, or a sentence that there is none."""

    none: str | None = None
    change: Table[BlameRow] | None = None
    code: str | None = None
    before: str | None = None  # if the byte had another value where the search began


def describe(address: int) -> BlameReport:
    """Go back in the replay to the instruction that changed the byte at an address."""
    found = blame(address)
    if found is None:
        return BlameReport(
            f"No instruction of the recording changed the byte at {address:#x} through "
            "this address."
        )
    current = task(get_current())
    row = BlameRow(
        instruction=found.count,
        pid=current.pid,
        comm=current.comm,
        before=found.before,
        after=found.after,
        mode="user" if this_processor().in_user_mode else "kernel",
        stops=found.stops,
    )
    code = gdb.execute("x/i $pc", to_string=True) or ""
    report = BlameReport(
        change=Table(BlameRow, f"The byte at {address:#x}", [row]),
        code=" ".join(code.split()),
    )
    if found.after != found.now:
        report.before = (
            f"The search began where it was {found.now:#x}: what made it so wrote "
            "through another mapping, which is not seen."
        )
    return report
