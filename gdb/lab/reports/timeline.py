# SPDX-License-Identifier: GPL-2.0-only
"""The moments of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..replay.timetravel import Replay
from ..result import Number, Report, Table, Words
from ..view.timeline import time_text


class MomentRow(NamedTuple):
    """A moment of the recording, or where gdb stands between two."""

    moment: Number | None
    here: Words
    instruction: Number
    time: Words
    kind: Words
    pid: Number | None
    comm: Words
    what: Words
    checkpoint: Words


HERE = "->"


@dataclass
class TimelineReport(Report, schema="timeline"):
    """The moments of a recording."""

    moments: Table[MomentRow]


def describe(replay: Replay) -> TimelineReport:
    """All moments known so far, and where gdb stands among them."""
    now, table = replay.now, Table(MomentRow, "")
    passed, hits = False, 0
    for number, moment in enumerate(replay.moments):
        if moment.count > now and not passed:
            passed = True
            table.rows.append(_between(now))
        here = moment.count == now
        passed = passed or here
        hits += moment.kind == "hit"
        table.rows.append(
            MomentRow(
                moment=number,
                here=HERE if here else "",
                instruction=moment.count,
                time="" if moment.time is None else time_text(moment.time),
                kind=f"hit {hits}" if moment.kind == "hit" else moment.kind,
                pid=moment.pid,
                comm=moment.comm,
                what=moment.what,
                checkpoint="yes" if replay.checkpoints.is_near(moment.count) else "",
            )
        )
    if not passed:
        table.rows.append(_between(now))
    return TimelineReport(table)


def _between(now: int) -> MomentRow:
    """Where gdb stands, between two moments."""
    return MomentRow(
        moment=None,
        here=HERE,
        instruction=now,
        time="",
        kind="",
        pid=None,
        comm="",
        what="",
        checkpoint="",
    )
