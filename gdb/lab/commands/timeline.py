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
    gdb stands. checkpoint is "yes" if there is one here or shortly before. Hits and events
    found in this session are inserted, so the moments after them get higher numbers.

    Example: go to the first hit.
        (gdb) lab timeline
        (gdb) lab goto 6
    """

    name = "timeline"

    def do(self, argument: str) -> None:
        # Unlike the other commands, this one works before the kernel runs
        arguments = gdb.string_to_argv(argument)
        as_json = arguments == ["--json"]
        self.take([] if as_json else arguments)
        show(report.describe(session.needed()), as_json)
