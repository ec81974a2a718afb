# SPDX-License-Identifier: GPL-2.0-only
"""Members of a structure explained: value, C type, decoded value, meaning.

A catalogue names the members that matter. Its paths start at one structure, and
"->" follows a pointer. Members this kernel lacks are omitted.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Callable, Iterator, TypedDict

from ..target import kernel, members, structs
from ..target.memory import Broken, Fault

WORDS = 16  # bytes: a structure that is no larger can be shown as a number


@dataclass(frozen=True)
class At:
    """A member's value, and where it is."""

    value: int | bytes
    address: int  # of the member
    start: int  # the address of the structure at which the paths start

    @property
    def number(self) -> int:
        """The value as a number: the bytes of a structure as one, unsigned."""
        if isinstance(self.value, int):
            return self.value
        return int.from_bytes(self.value, "little")


Decode = Callable[[At], str]


class Shown(TypedDict, total=False):
    """How a member is shown: the arguments of Member with these names."""

    decode: Decode
    in_hex: bool


@dataclass(frozen=True)
class Member:
    """An entry of a catalogue."""

    path: str
    meaning: str
    decode: Decode | None = None  # what the value says, in words
    in_hex: bool = False
    compute: Callable[[At], int] | None = None  # the number to show, from what is there


@dataclass(frozen=True)
class Fact:
    """A member of one object."""

    path: str
    value: str  # a number, in hex for pointers and flags; "" for large structures
    decoded: str
    type: str
    meaning: str


def facts(
    type_name: str, address: int, catalogue: tuple[Member, ...]
) -> Iterator[Fact]:
    """Explain an object. A member that cannot be read has the reason instead.

    :param type_name: its structure, such as "struct task_struct"
    :param address: where it is
    :param catalogue: the members to explain
    """
    for member in catalogue:
        try:
            found = _find(type_name, address, member.path)
        except Fault as fault:
            yield Fact(member.path, "unreadable", fault.reason, "", member.meaning)
            continue
        if found is not None:
            place, holder = found
            yield _fact(member, place, holder, address)


def _find(type_name: str, address: int, path: str) -> tuple[members.Place, int] | None:
    """A member's place and the address of the structure it is in.

    None where this kernel has no such member, or a pointer on the way is NULL.
    Raises memory.Fault.
    """
    *pointers, last = path.split("->")
    for pointer in pointers:
        place = members.place_of(type_name, pointer)
        if place is None:
            return None
        address = kernel.memory().u64(address + place.offset)
        if not address:
            return None
        type_name = place.type.removeprefix("const ").removesuffix(" *")
    place = _element(type_name, last)
    return None if place is None else (place, address)


def _element(type_name: str, path: str) -> members.Place | None:
    """A member, or NAME[INDEX] of an array; the index may be an enumerator."""
    name, _, index = path.partition("[")
    place = members.place_of(type_name, name)
    if place is None or not index:
        return place
    index = index.removesuffix("]")
    number = int(index) if index.isdecimal() else structs.constant(index)
    kind, _, count = place.type.rpartition("[")
    size = place.size // int(count.removesuffix("]"))
    return dataclasses.replace(
        place,
        type=kind.strip(),
        offset=place.offset + number * size,
        size=size,
        is_pointer=kind.rstrip().endswith("*"),
        is_number=True,
    )


def _fact(member: Member, place: members.Place, address: int, start: int) -> Fact:
    try:
        value = members.read(place, address)
    except Fault as fault:
        return Fact(member.path, "unreadable", fault.reason, place.type, member.meaning)
    at = At(value, address + place.offset, start)
    decoded = ""
    try:
        if member.compute is not None:
            at = At(member.compute(at), at.address, start)
        if member.decode is not None:
            decoded = member.decode(at)
    except (Fault, Broken) as trouble:
        decoded = f"unreadable: {trouble}"
    in_hex = member.in_hex or place.is_pointer
    return Fact(member.path, _text(at, in_hex), decoded, place.type, member.meaning)


def _text(at: At, in_hex: bool) -> str:
    if isinstance(at.value, int):
        return f"{at.value:#x}" if in_hex else str(at.value)
    if in_hex and len(at.value) <= WORDS:
        return f"{at.number:#x}"
    return ""
