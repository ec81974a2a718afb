# SPDX-License-Identifier: GPL-2.0-only
"""A timeline's events as lines of text and as JSON."""

from __future__ import annotations

from typing import Any

from ..trace.changes import Change, Piece
from ..trace.event import Event
from .tables import BOLD, GREEN, PLAIN, RED, clean, size_text

TASK_WIDTH = 20
FUNCTION_WIDTH = 24
INDENT = " " * 14
MARKS = {
    **{"added": "+", "removed": "-", "grown": "~", "shrunk": "~", "moved": "~"},
    **{"split": "~", "merged": "~", "protected": "~", "rearranged": "~"},
    **{"boundary": "~"},
}
COLOURS = {"+": GREEN, "-": RED}


def heading(colour: bool) -> str:
    """What the columns of a timeline are."""
    line = f"{'time':>10}  cpu  {'task':<{TASK_WIDTH}}  {'function':<{FUNCTION_WIDTH}}"
    return _styled(f"{line}  what happened", BOLD, colour)


def event_lines(event: Event, colour: bool) -> list[str]:
    """One event: a line, and one more for each change and line of a drawing."""
    who = f"{clean(event.comm)} {event.tid}"
    found = [
        f"{time_text(event.time):>10}  {event.cpu:>3}  {who:<{TASK_WIDTH}}  "
        f"{event.function:<{FUNCTION_WIDTH}}  {clean(event.what)}"
    ]
    for change in event.changes:
        mark = MARKS[change.kind]
        found.append(
            INDENT
            + _styled(f"{mark} {clean(change_text(change))}", COLOURS.get(mark), colour)
        )
    found += [INDENT + clean(line) for line in event.lines]
    return found


def time_text(time: int) -> str:
    """Guest time in seconds, as dmesg shows it."""
    return f"{time / 1e9:.6f}"


def _styled(text: str, style: str | None, colour: bool) -> str:
    return f"{style}{text}{PLAIN}" if colour and style else text


def piece_text(piece: Piece) -> str:
    """An area: where, how large, its permissions and its name."""
    text = f"{piece.start:x}-{piece.end:x} {piece.perms} {size_text(piece.size)}"
    return f"{text} {piece.name}".rstrip()


def change_text(change: Change) -> str:
    """One change in a phrase."""
    if change.kind == "boundary":
        moved = change.new - change.old
        way = "up" if moved > 0 else "down"
        return (
            f"{change.boundary} {change.old:x} -> {change.new:x}, "
            f"{size_text(abs(moved))} {way}"
        )
    old, new = change.before, change.after
    if change.kind in ("added", "removed"):
        return f"{change.kind} {piece_text((old or new)[0])}"
    if change.kind == "protected":
        return f"protected {piece_text(new[0])}, was {old[0].perms}"
    if change.kind == "moved":
        return f"moved {piece_text(new[0])}, was at {old[0].start:x}"
    if change.kind in ("grown", "shrunk"):
        by = size_text(abs(new[0].size - old[0].size))
        side = "at its start" if new[0].end == old[0].end else "at its end"
        if new[0].end != old[0].end and new[0].start != old[0].start:
            side = "at both ends"
        return f"{change.kind} by {by} {side}: {piece_text(new[0])}"
    before = ", ".join(piece_text(one) for one in old)
    after = ", ".join(piece_text(one) for one in new)
    return f"{change.kind} {before} into {after}"


def event_data(event: Event) -> dict[str, Any]:
    """One event for a program."""
    return {
        "number": event.number,
        "time_ns": event.time,
        "cpu": event.cpu,
        "pid": event.pid,
        "tid": event.tid,
        "comm": event.comm,
        "function": event.function,
        "what": event.what,
        "changes": [one.data for one in event.changes],
        "lines": list(event.lines),
        **event.data,
    }
