# SPDX-License-Identifier: GPL-2.0-only
"""The window `layout lab` adds to gdb's TUI, as lines of text.

A picture is laid out for a width once; of the lines only those that are seen are
made into text, so that it does not matter how many areas there are.
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

LISTED = 3  # changes that are told above the areas; the others are marked there
SIZED = 38  # columns from which on an area's size is shown
ENDED = 60  # and its end


class Line(NamedTuple):
    """A line that is not an area."""

    text: str
    style: str = ""


class Layout:
    """A picture laid out for a width.

    Lines from the top: who it is, what points where, what changed, the areas.
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
        """The lines from top on, without their first left columns."""
        colour = bool(gdb.parameter("style enabled")) and not os.environ.get("NO_COLOR")
        seen = self.lines[top : top + height]
        cut = [self._cut(one, left, colour) for one in seen]
        last = len(cut) - 1
        # A full line takes the cursor to the next one by itself
        return "".join(
            text if size == self.width or number == last else text + "\n"
            for number, (text, size) in enumerate(cut)
        )

    def _cut(
        self, one: Line | Piece | Segment, left: int, colour: bool
    ) -> tuple[str, int]:
        """What is seen of a line, and how many columns that takes."""
        text, style = one if isinstance(one, Line) else self._area(one, left)
        text = _printable(text)
        shown = cut(text, left, self.width)
        size = len(shown) if shown.isascii() else cell_len(shown)
        return (f"{style}{shown}{PLAIN}" if style and colour else shown), size

    # --- Areas ----------------------------------------------------------------

    def _area(self, row: Piece | Segment, left: int) -> tuple[str, str]:
        """An area as a line, and its style."""
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
        """Lines below an area, or between two, by the first of their notes."""
        for start, run in groupby(notes, lambda note: note.start):
            found = list(run)
            sign = "   - " if start is None else "   ^ "
            said = ", ".join(f"{one.name}\0{one.address:x}" for one in found)
            lines = wrap(said, max(self.width - len(sign), 24))
            yield found[0], [
                Line((" " * len(sign) if i else sign) + line.replace("\0", " "), DIM)
                for i, line in enumerate(lines)
            ]

    # --- What stands above them -------------------------------------------------

    def _above(self, picture: Picture) -> Iterator[Line]:
        if picture.doing:
            yield from self._said(picture.doing, BOLD)
        if picture.trouble:
            yield from self._said(picture.trouble, RED)
        for one in picture.pointers:
            yield Line(_pointer(one))
        if picture.remark:
            yield from self._said(picture.remark)
        elif picture.rows:
            yield from self._changes(picture)

    def _said(self, sentence: str, style: str = "") -> Iterator[Line]:
        for line in wrap(one_line(sentence), max(self.width, 10)):
            yield Line(line, style)

    def _changes(self, picture: Picture) -> Iterator[Line]:
        areas = f"{len(picture.rows):,} areas"
        if picture.changes is None:
            later = "changes are marked from the next stop on"
            yield from self._said(f"{areas}; {later}", BOLD)
            return
        if not picture.changes:
            yield from self._said(f"{areas}, unchanged since the last stop", BOLD)
            return
        marks = [change_mark(one) for one in picture.changes]
        count = " ".join(
            f"{mark}{marks.count(mark)}"
            for mark in (NEW, GONE, CHANGED)
            if mark in marks
        )
        yield from self._said(f"{areas}, since the last stop {count}", BOLD)
        many = len(marks) > LISTED + 1
        for one in picture.changes[: LISTED if many else None]:
            mark = change_mark(one)
            yield Line(f"{mark} {change_text(one)}", COLOURS[mark])
        if many:
            yield Line(f"  and {len(marks) - LISTED} more, marked below")

    def _compare(self, changes: tuple[Change, ...]) -> list[Piece]:
        """Mark what is new or changed; the areas that are gone."""
        gone: list[Piece] = []
        for one in changes:
            mark = change_mark(one)
            for piece in one.after:
                self.marks[piece.start] = mark
            if one.kind == "removed":
                gone += one.before
        self.marks.update((piece.start, GONE) for piece in gone)
        return gone


def _with_notes(
    rows: list[Piece | Segment], notes: list[tuple[Note, list[Line]]]
) -> list[Line | Piece | Segment]:
    """Put notes below the areas they belong to, or after the last area before."""
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


def change_text(one: Change) -> str:
    """A change in one line, the most important first: the line may be cut."""
    if one.kind == "boundary":
        return f"{one.boundary} {one.new:x}, was {one.old:x}"
    first = (one.after or one.before)[0]
    name = first.name or "[anon]"
    if one.kind in ("added", "removed"):
        return f"{name} {_range(first)} {first.perms}"
    said = f"{name} {one.kind}"
    if one.kind == "protected":
        return f"{said} {first.perms}, was {one.before[0].perms} {_range(first)}"
    if len(one.before) == len(one.after) == 1:
        return f"{said} {_range(first)}, was {_range(one.before[0])}"
    whole = (one.before[0].start, one.before[-1].end)
    return f"{said} {len(one.before)} into {len(one.after)}, {whole[0]:x}-{whole[1]:x}"


MORE = ">"  # in the last column of a line that is cut


def _range(piece: Piece) -> str:
    return f"{piece.start:x}-{piece.end:x}"


def _pointer(one: Pointer) -> str:
    """Where something points: the place first, which is what matters most."""
    address = "" if one.address is None else f"  {one.address:x}"
    what = f"  {one.what}" if one.what else ""
    return f"{one.name:<8} {one.place}{what}{address}"


def short_size(size: int) -> str:
    """A number of bytes in six columns at most: 132K, 1.25M, 127T."""
    return rough_size(size).replace(" ", "").replace("iB", "")


def _printable(text: str) -> str:
    """Text without what a terminal would obey or cannot show."""
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
