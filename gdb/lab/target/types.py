# SPDX-License-Identifier: GPL-2.0-only
"""C types, whoever read them from the debug info.

Sizes and offsets are as the compiler laid them out in the kernel's own build. typedefs
and qualifiers are resolved, except in a type's name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Callable, Iterator


class Kind(Enum):
    """What sort of type."""

    INT = "int"
    BOOL = "bool"
    CHAR = "char"
    ENUM = "enum"
    POINTER = "pointer"
    STRUCT = "struct"
    UNION = "union"
    ARRAY = "array"
    OTHER = "other"  # a function, void, floating point


SCALARS = (Kind.INT, Kind.BOOL, Kind.CHAR, Kind.ENUM)


@dataclass(frozen=True)
class Field:
    """A member of a structure or union."""

    name: str  # "" for an anonymous structure or union
    bit: int  # where it starts, from the start of the structure
    bits: int  # how many, for a bit field; else 0
    type: "CType"
    type_name: str  # as the source has it

    @property
    def offset(self) -> int:
        """Where it starts, in bytes."""
        return self.bit // 8


@dataclass(frozen=True, eq=False)
class CType:
    """A type. Its members or elements are looked up when first asked for."""

    kind: Kind
    name: str
    size: int  # bytes
    signed: bool = False
    count: int = 0  # elements of an array
    _element: Callable[[], "CType"] | None = field(default=None, repr=False)
    _fields: Callable[[], tuple[Field, ...]] | None = field(default=None, repr=False)
    _enumerators: Callable[[], dict[str, int]] | None = field(default=None, repr=False)

    @cached_property
    def element(self) -> "CType":
        """The type of an array's elements, or of what a pointer points to."""
        assert self._element is not None, f"{self.name} has no elements"
        return self._element()

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The members of a structure or union, in the order of the source."""
        return self._fields() if self._fields is not None else ()

    @cached_property
    def enumerators(self) -> dict[str, int]:
        """The names and values of an enum."""
        return self._enumerators() if self._enumerators is not None else {}

    @property
    def is_scalar(self) -> bool:
        """Is it a number? A pointer is not."""
        return self.kind in SCALARS

    @property
    def is_composite(self) -> bool:
        """Is it a structure or union?"""
        return self.kind in (Kind.STRUCT, Kind.UNION)

    def named_fields(self) -> Iterator[Field]:
        """All members that have a name, also those of anonymous structures and unions."""
        for member in self.fields:
            if member.name:
                yield member
            elif member.type.is_composite:
                for inner in member.type.named_fields():
                    yield Field(
                        inner.name,
                        member.bit + inner.bit,
                        inner.bits,
                        inner.type,
                        inner.type_name,
                    )
