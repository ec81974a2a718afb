# SPDX-License-Identifier: GPL-2.0-only
"""lab timeline: the moments of the recording that is replayed."""

from __future__ import annotations

import gdb

from ..replay import session
from ..replay.timetravel import Replay
from ..result import Result, Table, columns
from ..target import terminal
from ..view import json, text
from ..view.timeline import time_text
from .base import LabCommand

COLUMNS = columns(
    moment="number",
    here="text",
    instruction="number",
    time="text",
    kind="text",
    pid="number",
    comm="text",
    what="text",
    checkpoint="text",
)


HERE = "->"


def timeline(one: Replay) -> Table:
    """All moments known so far, and between them where gdb stands."""
    now, table = one.now, Table("", COLUMNS)
    told, hits = False, 0
    for number, moment in enumerate(one.moments):
        if moment.count > now and not told:
            told = True
            table.rows.append((None, HERE, now, "", "", None, "", "", ""))
        here = moment.count == now
        told = told or here
        hits += moment.kind == "hit"
        table.rows.append(
            (
                number,
                HERE if here else "",
                moment.count,
                "" if moment.time is None else time_text(moment.time),
                f"hit {hits}" if moment.kind == "hit" else moment.kind,
                moment.pid,
                moment.comm,
                moment.what,
                "yes" if one.checkpoints.is_near(moment.count) else "",
            )
        )
    if not told:
        table.rows.append((None, HERE, now, "", "", None, "", "", ""))
    return table


class Timeline(LabCommand):
    """The moments of the recording that is replayed: lab timeline [--json]

    Start, programs executed, processes killed by a signal, hits of the check, traced events,
    end; each with its number for lab goto, the instructions executed since the machine's
    reset, the guest's clock in seconds (as dmesg has it), and who ran. An arrow marks where
    gdb stands. "yes" under checkpoint: there is one, or closely before. Hits and events
    found in this session are put in their places, so the numbers behind them grow.

    Example: go to the first hit.
        (gdb) lab timeline
        (gdb) lab goto 6
    """

    name = "timeline"

    def do(self, argument: str) -> None:
        # Not as the other commands do it: this one works before the kernel runs
        arguments = gdb.string_to_argv(argument)
        as_json = arguments == ["--json"]
        self.take([] if as_json else arguments)
        result = Result([timeline(session.needed())])
        if as_json:
            terminal.write(json.result_json(result))
        else:
            text.show_result(result)
