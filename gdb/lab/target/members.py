# SPDX-License-Identifier: GPL-2.0-only
"""All members that a structure has in this kernel: from DWARF, then one read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from . import kernel, structs
from .types import CType, Kind


@dataclass(frozen=True)
class Place:
    """A member of a structure: where it stands, and what it is."""

    path: str  # such as shared.rb.rb_left
    type: str  # in C
    offset: int  # bytes
    size: int  # bytes
    shift: int  # for a bit field: its lowest bit
    bits: int  # for a bit field: how many, else 0
    is_pointer: bool
    is_number: bool
    is_signed: bool = False
    is_whole: bool = False  # a structure or union, with members of its own


@dataclass(frozen=True)
class Member:
    """A member and its value: bytes for what is neither a number nor a pointer."""

    place: Place
    value: int | bytes


@structs.cached
def places(type_name: str) -> tuple[Place, ...]:
    """The members of a structure; for structures inside it, their members instead."""
    return tuple(place for place in _all(type_name).values() if not place.is_whole)


def place_of(type_name: str, path: str) -> Place | None:
    """One member, which may be a structure; None if this kernel lacks it."""
    return _all(type_name).get(path)


@structs.cached
def _all(type_name: str) -> dict[str, Place]:
    found = _places(structs.lookup_type(type_name), "", 0)
    return {place.path: place for place in found}


def _places(kind: CType, prefix: str, base: int) -> Iterator[Place]:
    for field in kind.fields:
        inner = field.type
        path = prefix + field.name
        at = base + field.offset
        if inner.size and field.name:
            is_pointer = inner.kind is Kind.POINTER
            is_number = is_pointer or inner.is_scalar
            yield Place(
                path=path,
                type=field.type_name,
                offset=at,
                size=inner.size,
                shift=field.bit % 8,
                bits=field.bits,
                is_pointer=is_pointer,
                is_number=is_number,
                is_signed=inner.is_scalar and inner.signed,
                is_whole=inner.is_composite,
            )
        if inner.is_composite:
            below = f"{path}." if field.name else prefix
            yield from _places(inner, below, at)


def path_at(type_name: str, offset: int) -> str:
    """The innermost member at an offset, such as "sibling.next" or "comm[3]".

    Of a union the first member that reaches so far. "" in padding and behind the end.
    """
    return _path_at(structs.lookup_type(type_name), offset).lstrip(".")


def _path_at(kind: CType, offset: int) -> str:
    if kind.kind is Kind.ARRAY and kind.element.size:
        number, inside = divmod(offset, kind.element.size)
        return f"[{number}]{_path_at(kind.element, inside)}"
    for field in kind.fields:
        inside = offset - field.offset
        if not 0 <= inside < max(field.type.size, field.bits + 7 >> 3):
            continue
        below = _path_at(field.type, inside)
        if field.name or below:
            return f".{field.name}{below}" if field.name else below
    return ""


def members(type_name: str, address: int) -> list[Member]:
    """Read all members of an object at once. Raises memory.Fault."""
    raw = kernel.memory().read(address, structs.sizeof(type_name))
    return [Member(place, value_in(place, raw)) for place in places(type_name)]


def read(place: Place, address: int) -> int | bytes:
    """Read one member of the object at an address. Raises memory.Fault."""
    data = kernel.memory().read(address + place.offset, place.size)
    return _value(place, data)


def value_in(place: Place, raw: bytes) -> int | bytes:
    """The value of a member, taken from all bytes of its object."""
    return _value(place, raw[place.offset : place.offset + place.size])


def _value(place: Place, data: bytes) -> int | bytes:
    if not place.is_number:
        return data
    if not place.bits:
        return int.from_bytes(data, "little", signed=place.is_signed)
    return int.from_bytes(data, "little") >> place.shift & (1 << place.bits) - 1
