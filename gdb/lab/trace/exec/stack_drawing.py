# SPDX-License-Identifier: GPL-2.0-only
"""The stack of a new program, drawn on its side: low addresses left, to no scale."""

from __future__ import annotations

from typing import NamedTuple

from ...sizes import rough_size, size_text
from ...target.memory import Broken

MOST = 3  # rows of marks below the drawing: enough for four marks
ZERO = "0"
WIDTH = 64  # columns at least, so that the marks have room beside one another


class Part(NamedTuple):
    """A run of bytes on the stack."""

    name: str  # "" for what is not used, ZERO for what has no other content
    start: int
    end: int


def stack_lines(parts: list[Part], marks: dict[int, str]) -> tuple[str, ...]:
    """Parts side by side, and below them what stands at some of their edges.

    :param parts: lowest address first, without gaps; an empty one is left out
    :param marks: names by their addresses, which are edges of parts
    :raises Broken: a name is at no edge
    """
    parts = [part for part in parts if part.start < part.end]
    edges = {edge for part in parts for edge in (part.start, part.end)}
    for address in marks.keys() - edges:
        raise Broken(f"{marks[address]} is {address:#x}, where no part of a stack ends")
    texts = [f"│{_inside(part)}" for part in parts]
    texts[0] += " " * (WIDTH - sum(map(len, texts)))
    picture, columns = "", {}
    for part, text in zip(parts, texts):
        columns[part.start] = len(picture)
        picture += text
    columns[parts[-1].end] = len(picture)
    rows: list[str] = []
    *inner, last = sorted(marks)
    _put(rows, f"{marks[last]} {last:x} ┘", columns[last], from_right=True)
    for address in inner:
        _put(rows, f"└ {marks[address]} {address:x}", columns[address])
    return (f"{picture}│", *rows)


def _inside(part: Part) -> str:
    size = part.end - part.start
    if part.name == ZERO:
        return ZERO
    return f"{part.name} {size_text(size)}" if part.name else f"{rough_size(size)} free"


def _put(rows: list[str], text: str, column: int, from_right: bool = False) -> None:
    """Write a mark into the first row that has room for it at its column."""
    start = max(column + 1 - len(text), 0) if from_right else column
    end = start + len(text)
    for i in range(MOST):
        if i == len(rows):
            rows.append("")
        around = rows[i].ljust(end + 1)[max(start - 1, 0) : end + 1]
        if not around.strip():
            rows[i] = rows[i].ljust(start)[:start] + text + rows[i][end:]
            return
