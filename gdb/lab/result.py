# SPDX-License-Identifier: GPL-2.0-only
"""What a command of the lab found, ready to be shown as text or as JSON.

A report is a dataclass whose fields are what there is to say, in that order: a sentence,
a table, a drawing, or several of them. It is also the schema of `--json`. A value is kept
as what it is (a number, a string, True); how it looks follows from the kind of its column.
Views turn a report into text; they compute nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from typing import (
    Annotated,
    Any,
    Generic,
    Iterator,
    NamedTuple,
    TypeAlias,
    TypeVar,
    get_args,
    get_type_hints,
)

from .schema import Schema

# What a column holds: shown in hex; a number, right-aligned; bytes, shown as KiB, MiB,
# ...; text; a list of names; True or the reason why something fails
Address: TypeAlias = Annotated[int, "address"]
Number: TypeAlias = Annotated[int, "number"]
Size: TypeAlias = Annotated[int, "size"]
Words: TypeAlias = Annotated[str, "text"]
Flags: TypeAlias = Annotated[tuple[str, ...], "flags"]
Check: TypeAlias = Annotated[bool | str, "check"]

R = TypeVar("R", bound=tuple[Any, ...])
T = TypeVar("T")


class Column(NamedTuple):
    """A column of a table: its name, which is its JSON key, and its kind."""

    name: str
    kind: str


@cache
def columns(row: type) -> tuple[Column, ...]:
    """The columns of a row: a NamedTuple whose members are annotated as above."""
    return tuple(
        Column(name, _kind(kind))
        for name, kind in get_type_hints(row, include_extras=True).items()
    )


def _kind(annotation: Any) -> str:
    """The kind in Address, or in Address | None."""
    for hint in (annotation, *get_args(annotation)):
        metadata = getattr(hint, "__metadata__", None)
        if metadata:
            return str(metadata[0])
    raise TypeError(f"{annotation} is no column of a table")


@dataclass
class Table(Generic[R]):
    """Rows of one kind of thing."""

    row: type[R]
    title: str = ""
    rows: list[R] = field(default_factory=list)
    broken: str = ""  # why the walk behind the table ended early, if it did

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of each row."""
        return columns(self.row)


@dataclass
class Drawing(Generic[T]):
    """A picture in lines of text, and the data it was drawn from."""

    title: str
    lines: list[str]
    data: T
    broken: str = ""  # why the walk behind the drawing ended early, if it did


Part: TypeAlias = Table[Any] | Drawing[Any] | str


class Report(Schema):
    """All that one command has to say. A subclass is a dataclass.

    A field is a part, a list of parts, or None where there is nothing to say.
    """

    def parts(self) -> Iterator[Part]:
        """What there is to say, in order."""
        for member in fields(self):
            value = getattr(self, member.name)
            if isinstance(value, list):
                yield from value
            elif value is not None:
                yield value


@dataclass
class Sentence(Report, schema="sentence"):
    """A sentence, where a command has nothing else to say."""

    text: str
