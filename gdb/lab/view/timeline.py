# SPDX-License-Identifier: GPL-2.0-only
"""A timeline's events as lines of text and as JSON."""

from __future__ import annotations

from typing import Iterator

from ..linux.mm_changes import Change, Piece
from ..linux.vmflags import flags_of
from ..printable import one_line
from ..sizes import size_text
from ..trace.event import Entry
from .tables import BOLD, GREEN, RED, YELLOW, styled

TASK_WIDTH, FUNCTION_WIDTH = 16, 20
INDENT = " " * 17  # of what belongs to an event: below its task
NARROWEST = 40  # columns that a sentence needs to be readable
WRAPPER = "__x64_"  # every system call's function has it in front
BOXES = "│└┘"  # what a drawing is made of
NEW, GONE, CHANGED = "+", "-", "~"
COLOURS = {NEW: GREEN, GONE: RED, CHANGED: YELLOW}


def heading(colour: bool) -> str:
    """What the columns of a timeline are."""
    line = f"{'time':>10}  cpu  {'task':<{TASK_WIDTH}}  {'function':<{FUNCTION_WIDTH}}"
    return styled(f"{line}  what happened", BOLD, colour)


def event_lines(entry: Entry, width: int, colour: bool) -> list[str]:
    """One event: a line, and more for its changes and its drawing.

    width is where a sentence is folded; 0 never folds.
    """
    event = entry.event
    who = f"{one_line(entry.comm)} {entry.tid}"
    function = entry.function.removeprefix(WRAPPER)
    head = (
        f"{time_text(entry.time_ns):>10}  {entry.cpu:>3}  {who:<{TASK_WIDTH}}  "
        f"{function:<{FUNCTION_WIDTH}}  "
    )
    indent = " " * len(head) if width - len(head) >= NARROWEST else INDENT
    found = _folded(head + one_line(event.what), indent, width)
    for mark, lines in _told(event.changes):
        for line in lines:
            for part in _folded(
                f"{INDENT}{mark} {one_line(line)}", INDENT + "    ", width
            ):
                found.append(styled(part, COLOURS.get(mark, ""), colour))
            mark = " "
    for line in event.lines:
        drawn = any(box in line for box in BOXES)  # folded it would come apart
        found += _folded(INDENT + one_line(line), INDENT, 0 if drawn else width)
    return found


def _told(changes: tuple[Change, ...]) -> Iterator[tuple[str, list[str]]]:
    """A mark and lines for each change; boundaries that were 0 share one line."""
    fresh = []
    for change in changes:
        if change.kind == "boundary" and not change.old:
            fresh.append(f"{change.boundary} {change.new:x}")
        else:
            yield change_mark(change), change_lines(change)
    if fresh:
        yield CHANGED, [f"set {', '.join(fresh)}"]


def _folded(line: str, indent: str, width: int) -> list[str]:
    """A line, and what of it does not fit into the width below it."""
    if not width or len(line) <= width:
        return [line.rstrip()]
    cut = line.rfind(" ", len(indent) + 1, width + 1)
    if cut <= len(indent) or not line[:cut].strip():
        return [line.rstrip()]
    rest = line[cut:].lstrip()
    return [line[:cut].rstrip(), *_folded(indent + rest, indent, width)]


def time_text(time: int) -> str:
    """Guest time in seconds, as dmesg shows it."""
    return f"{time / 1e9:.6f}"


def change_mark(change: Change) -> str:
    """+ for what is new, - for what is gone, ~ for what became something else."""
    return {"added": NEW, "removed": GONE}.get(change.kind, CHANGED)


def piece_text(piece: Piece) -> str:
    """An area: where, how large, its permissions and its name."""
    text = f"{piece.start:x}-{piece.end:x} {piece.perms} {size_text(piece.size)}"
    return f"{text} {piece.name}".rstrip()


def change_lines(change: Change) -> list[str]:
    """One change, an area a line where there are several."""
    old, new = change.before, change.after
    if change.kind == "boundary":
        way = "up" if change.new > change.old else "down"
        by = size_text(abs(change.new - change.old))
        return [f"{change.boundary} {change.old:x} -> {change.new:x}, {by} {way}"]
    if change.kind in ("added", "removed"):
        return [f"{change.kind} {piece_text((old or new)[0])}"]
    if change.kind == "protected":
        return [f"protected {piece_text(new[0])}, was {old[0].perms}"]
    if change.kind == "flagged":
        return [f"changed {piece_text(new[0])}: {flag_text(old[0], new[0])}"]
    if change.kind == "moved":
        return [f"moved {piece_text(new[0])}, was at {old[0].start:x}"]
    if change.kind in ("grown", "shrunk"):
        by = size_text(abs(new[0].size - old[0].size))
        side = "at its start" if new[0].end == old[0].end else "at its end"
        if new[0].end != old[0].end and new[0].start != old[0].start:
            side = "at both ends"
        return [f"{change.kind} by {by} {side}: {piece_text(new[0])}"]
    width = len(change.kind)
    words = [change.kind] + ["and"] * (len(old) - 1)
    words += ["by" if change.kind == "replaced" else "into"]
    words += ["and"] * (len(new) - 1)
    return [
        f"{word:>{width}} {piece_text(piece)}" for word, piece in zip(words, old + new)
    ]


def flag_text(old: Piece, new: Piece) -> str:
    """Which flags of an area were set and cleared."""
    phrases = []
    changes = (new.flags & ~old.flags, "set"), (old.flags & ~new.flags, "cleared")
    for flags, what in changes:
        names = [flag.name for flag in flags_of(flags)]
        phrases += [f"{'|'.join(names)} {what}"] if names else []
    return ", ".join(phrases)


def change_text(change: Change) -> str:
    """One change in one line."""
    return " ".join(line.lstrip() for line in change_lines(change))
