# SPDX-License-Identifier: GPL-2.0-only
"""lab timeline: the moments of the recording that is replayed."""

from __future__ import annotations

import gdb

from ..replay import session
from ..reports import timeline as report
from .base import LabCommand, show


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
        show(report.describe(session.needed()), as_json)
