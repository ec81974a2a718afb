# SPDX-License-Identifier: GPL-2.0-only
"""What a command of the lab found, ready to be shown as text or as JSON.

A value is kept as what it is (a number, a string, True); how it looks follows
from its column's kind. Views turn a Result into text; they compute nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

# address: a number shown in hex; number: right-aligned; size: bytes, shown as
# KiB, MiB, ...; text; flags: a list of names; check: True or the reason it fails
Kind = Literal["address", "number", "size", "text", "flags", "check"]


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, which is its JSON key, and its kind."""

    name: str
    kind: Kind = "text"


@dataclass
class Table:
    """Rows of one kind of thing."""

    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    broken: str = ""  # why the walk behind the table ended early, if it did


@dataclass
class Drawing:
    """Lines of text that are a picture, and the data it was drawn from."""

    title: str
    lines: list[str]
    data: Any = None
    broken: str = ""  # why the walk behind the drawing ended early, if it did


@dataclass
class Result:
    """All that one command has to say, in order."""

    parts: list[Table | Drawing | str] = field(default_factory=list)


def columns(**kinds: Kind) -> tuple[Column, ...]:
    """Columns by name and kind: columns(pid="number", comm="text")."""
    return tuple(Column(name, kind) for name, kind in kinds.items())
