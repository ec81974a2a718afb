# SPDX-License-Identifier: GPL-2.0-only
"""The lines of the window that `layout lab` adds to gdb's TUI.

A picture is laid out once for a width, and only the visible lines become text, so the
number of areas does not matter.
"""

from __future__ import annotations

import bisect
import os
from itertools import groupby
from textwrap import wrap
from typing import Iterator, NamedTuple

from rich.cells import cell_len

import gdb

from ..linux.mm_changes import Change, Piece
from ..linux.segments import Segment
from ..printable import one_line
from ..sizes import rough_size
from ..window.picture import Note, Picture
from ..window.pointers import Pointer
from .tables import BOLD, DIM, PLAIN, RED
from .timeline import CHANGED, COLOURS, GONE, NEW, change_mark

LISTED = 3  # changes listed above the areas; the others are only marked
SIZED = 38  # columns of a window that shows the areas' sizes
ENDED = 60  # and of one that shows their ends, too


class Line(NamedTuple):
    """A line that is not an area."""

    text: str
    style: str = ""


class Layout:
    """A picture laid out for a width.

    Lines from the top: the CPU, what points where, what changed, the areas.
    """

    def __init__(self, picture: Picture, width: int) -> None:
        self.width = width
        self.marks: dict[int, str] = {}  # by an area's start
        self.digits = 16 if picture.remark else 12
        gone = self._compare(picture.changes or ())
        above = list(self._above(picture))
        rows = list(picture.rows)
        if gone:
            rows = sorted([*rows, *gone], key=lambda row: row.start)
        self.lines = above + _with_notes(rows, list(self._notes(picture.notes)))

    def text(self, top: int, left: int, height: int) -> str:
        """The visible lines.

        :param top: lines scrolled out above
        :param left: columns scrolled out at the left
        """
        colour = bool(gdb.parameter("style enabled")) and not os.environ.get("NO_COLOR")
        seen = self.lines[top : top + height]
        cut = [self._cut(line, left, colour) for line in seen]
        last = len(cut) - 1
        # After a full line the cursor is on the next one already
        return "".join(
            text if size == self.width or number == last else text + "\n"
            for number, (text, size) in enumerate(cut)
        )

    def _cut(
        self, line: Line | Piece | Segment, left: int, colour: bool
    ) -> tuple[str, int]:
        """The visible part of a line, and the columns it takes."""
        text, style = line if isinstance(line, Line) else self._area(line, left)
        text = _printable(text)
        shown = cut(text, left, self.width)
        size = len(shown) if shown.isascii() else cell_len(shown)
        return (f"{style}{shown}{PLAIN}" if style and colour else shown), size

    # --- Areas ----------------------------------------------------------------

    def _area(self, row: Piece | Segment, left: int) -> tuple[str, str]:
        """The line of an area, and its style."""
        mark = self.marks.get(row.start, " ")
        end = f"-{row.end:<{self.digits}x}" if self.width >= ENDED else ""
        size = f"{short_size(row.size):>6}" if self.width >= SIZED else ""
        perms = f" {row.perms}" if row.perms else ""
        head = f"{mark}{row.start:>{self.digits}x}{end}{size}{perms} "
        name = row.name or "[anon]"
        if not left and name.startswith("/") and len(head + name) > self.width:
            name = ".." + name[len(head) + len(name) + 2 - self.width :]
        return head + name, COLOURS.get(mark, "")

    def _notes(self, notes: tuple[Note, ...]) -> Iterator[tuple[Note, list[Line]]]:
        """The lines below an area or between two, each with the first of its notes."""
        for start, run in groupby(notes, lambda note: note.start):
            found = list(run)
            sign = "   - " if start is None else "   ^ "
            names = ", ".join(f"{note.name}\0{note.address:x}" for note in found)
            lines = wrap(names, max(self.width - len(sign), 24))
            yield found[0], [
                Line((" " * len(sign) if i else sign) + line.replace("\0", " "), DIM)
                for i, line in enumerate(lines)
            ]

    # --- What stands above them -------------------------------------------------

    def _above(self, picture: Picture) -> Iterator[Line]:
        if picture.doing:
            yield from self._wrapped(picture.doing, BOLD)
        if picture.trouble:
            yield from self._wrapped(picture.trouble, RED)
        for pointer in picture.pointers:
            yield Line(_pointer(pointer))
        if picture.remark:
            yield from self._wrapped(picture.remark)
        elif picture.rows:
            yield from self._changes(picture)

    def _wrapped(self, sentence: str, style: str = "") -> Iterator[Line]:
        for line in wrap(one_line(sentence), max(self.width, 10)):
            yield Line(line, style)

    def _changes(self, picture: Picture) -> Iterator[Line]:
        areas = f"{len(picture.rows):,} areas"
        if picture.changes is None:
            later = "changes are marked from the next stop on"
            yield from self._wrapped(f"{areas}; {later}", BOLD)
            return
        if not picture.changes:
            yield from self._wrapped(f"{areas}, unchanged since the last stop", BOLD)
            return
        marks = list(map(change_mark, picture.changes))
        count = " ".join(
            f"{mark}{marks.count(mark)}"
            for mark in (NEW, GONE, CHANGED)
            if mark in marks
        )
        yield from self._wrapped(f"{areas}, since the last stop {count}", BOLD)
        many = len(marks) > LISTED + 1
        for change in picture.changes[: LISTED if many else None]:
            mark = change_mark(change)
            yield Line(f"{mark} {change_text(change)}", COLOURS[mark])
        if many:
            yield Line(f"  and {len(marks) - LISTED} more, marked below")

    def _compare(self, changes: tuple[Change, ...]) -> list[Piece]:
        """Mark new, changed and removed areas; return the removed ones."""
        gone: list[Piece] = []
        for change in changes:
            mark = change_mark(change)
            for piece in change.after:
                self.marks[piece.start] = mark
            if change.kind == "removed":
                gone += change.before
        self.marks.update((piece.start, GONE) for piece in gone)
        return gone


def _with_notes(
    rows: list[Piece | Segment], notes: list[tuple[Note, list[Line]]]
) -> list[Line | Piece | Segment]:
    """Put notes below their areas; those in a gap below the area before it."""
    starts = [row.start for row in rows]
    found: list[Line | Piece | Segment] = []
    done = 0
    for note, lines in notes:
        start = note.address - 1 if note.start is None else note.start
        after = max(bisect.bisect_right(starts, start), done)
        found += rows[done:after]
        found += lines
        done = after
    return [*found, *rows[done:]]


def change_text(change: Change) -> str:
    """A change in one line, the most important first, since the line may be cut."""
    if change.kind == "boundary":
        return f"{change.boundary} {change.new:x}, was {change.old:x}"
    first = (change.after or change.before)[0]
    name = first.name or "[anon]"
    if change.kind in ("added", "removed"):
        return f"{name} {_range(first)} {first.perms}"
    head = f"{name} {change.kind}"
    if change.kind == "protected":
        return f"{head} {first.perms}, was {change.before[0].perms} {_range(first)}"
    if len(change.before) == len(change.after) == 1:
        return f"{head} {_range(first)}, was {_range(change.before[0])}"
    whole = (change.before[0].start, change.before[-1].end)
    return f"{head} {len(change.before)} into {len(change.after)}, {whole[0]:x}-{whole[1]:x}"


MORE = ">"  # in the last column of a line that is cut


def _range(piece: Piece) -> str:
    return f"{piece.start:x}-{piece.end:x}"


def _pointer(pointer: Pointer) -> str:
    """The line of a pointer: the place first, which matters most."""
    address = "" if pointer.address is None else f"  {pointer.address:x}"
    what = f"  {pointer.what}" if pointer.what else ""
    return f"{pointer.name:<8} {pointer.place}{what}{address}"


def short_size(size: int) -> str:
    """A size in bytes in at most six columns: 132K, 1.25M, 127T."""
    return rough_size(size).replace(" ", "").replace("iB", "")


def _printable(text: str) -> str:
    """Text without control characters, and without what the terminal cannot show."""
    text = one_line(text)
    if text.isascii():
        return text
    charset = gdb.host_charset()
    return text.encode(charset, "backslashreplace").decode(charset)


def cut(text: str, left: int, width: int) -> str:
    """The columns of a text from left on; a mark at the end if there is more."""
    if not text.isascii():
        while left > 0 and text:
            left -= cell_len(text[0])
            text = text[1:]
    text = text[max(left, 0) :]
    if cell_len(text) <= width:
        return text
    end = len(text)
    while end and cell_len(text[:end]) >= width:
        end -= 1
    return text[:end] + MORE
