# SPDX-License-Identifier: GPL-2.0-only
"""A timeline as a whole: its events, what they say together, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass

from ..result import Drawing, Part, Report
from ..sizes import counted
from ..target.debugger import debugger
from ..trace.engine import Tracer
from ..trace.event import Entry
from ..trace.follow import LAB_PROGRAM

IN_GUEST = "/lab/program"  # see initramfs/build.sh


@dataclass
class TraceReport(Report, schema="trace"):
    """The events, for a program only; what they say together; how the timeline ended."""

    events: Drawing[list[Entry]] | None
    summary: list[Part]
    left_out: list[str]
    ended: str


def describe(tracer: Tracer, with_events: bool) -> TraceReport:
    """Tell of a timeline that has ended."""
    name, count = tracer.timeline.name, len(tracer.entries)
    ended = f"lab trace {name}: {counted(count, 'event')}; {tracer.ended}."
    if not debugger().is_connected:
        ended += " Another one starts with `make debug`, after quit."
    if tracer.follow.is_waiting:
        ended += f" Nobody executed {tracer.follow.program}"
        hint = f": give its path in the guest, where PROGRAM= is {IN_GUEST}."
        ended += "." if tracer.follow.program == LAB_PROGRAM else hint
    if tracer.troubles:
        more = f", and {len(tracer.troubles) - 1} more" * (len(tracer.troubles) > 1)
        ended += f" Not all could be read: {tracer.troubles[0]}{more}."
    return TraceReport(
        events=Drawing("events", [], tracer.entries) if with_events else None,
        summary=tracer.timeline.summary(),
        left_out=tracer.follow.left_out,
        ended=ended,
    )
