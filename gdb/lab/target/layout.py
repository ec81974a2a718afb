# SPDX-License-Identifier: GPL-2.0-only
"""The part of a kernel's debug info that the lab asks for, as a small JSON.

Unit tests use it instead of a vmlinux of 300 MB. It has the wanted members of the wanted
types, and some symbols and constants. `make layouts` writes one for each kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..schema import Schema, is_of, written
from .symbols import Missing, Symbols
from .types import CType, Field, Kind


@dataclass
class LayoutFile(Schema, schema="layout"):
    """A part of a kernel's debug info: tests/unit/layouts."""

    kernel: str
    release: str  # uname -r
    types: dict[str, Any]  # by name: kind, size, and what the kind has besides
    symbols: dict[str, list[int]]  # address and size
    constants: dict[str, int]


@dataclass
class Wanted:
    """The names that the lab asks for."""

    members: dict[str, set[str]] = field(default_factory=dict)  # member paths by type
    symbols: set[str] = field(default_factory=set)
    constants: set[str] = field(default_factory=set)


def collect(
    kernel: str, release: str, symbols: Symbols, wanted: Wanted
) -> dict[str, Any]:
    """What a kernel has of the wanted names, as JSON."""
    types: dict[str, Any] = {}
    for name, paths in sorted(wanted.members.items()):
        try:
            _put(types, name, symbols.lookup_type(name), paths)
        except Missing:
            continue
    places: dict[str, list[int]] = {}
    for name in sorted(wanted.symbols):
        try:
            places[name] = [symbols.address_of(name), symbols.variable_size(name)]
        except Missing:
            continue
    constants: dict[str, int] = {}
    for name in sorted(wanted.constants):
        try:
            constants[name] = symbols.constant(name)
        except Missing:
            continue
    types = dict(sorted(types.items()))
    return written(LayoutFile(kernel, release, types, places, constants))


def _put(types: dict[str, Any], name: str, kind: CType, paths: set[str]) -> None:
    """Add a type with the members that the paths begin with, and the types of these."""
    made = types.setdefault(name, {"kind": kind.kind.value, "size": kind.size})
    if kind.signed:
        made["signed"] = True
    if kind.kind is Kind.ARRAY:
        made["count"] = kind.count
        made["element"] = kind.element.name
        _put(types, kind.element.name, kind.element, {p for p in paths if p})
    elif kind.kind is Kind.ENUM:
        made["enumerators"] = kind.enumerators
    elif kind.is_composite:
        inside: dict[str, set[str]] = {}
        for path in paths:
            first, _, rest = path.partition(".")
            inside.setdefault(re.sub(r"\[\d+\]$", "", first), set()).add(rest)
        fields: dict[str, tuple[int, int, str]] = made.setdefault("fields", {})
        for member in kind.named_fields():
            if member.name in inside:
                fields[member.name] = member.bit, member.bits, member.type.name
                _put(types, member.type.name, member.type, inside[member.name])
        made["fields"] = dict(sorted(fields.items(), key=lambda item: item[1][0]))


class Layout:
    """The symbols and types in such a JSON: see Symbols."""

    def __init__(self, data: dict[str, Any]) -> None:
        """Take the symbols and types from a JSON object.

        :param data: what collect() returned
        :raises ValueError: it is something else
        """
        if not is_of(data, LayoutFile):
            raise ValueError("this is no layout that this lab can read")
        self.kernel: str = data["kernel"]
        self.release: str = data["release"]
        self.symbols: dict[str, list[int]] = data["symbols"]
        self.constants: dict[str, int] = data["constants"]
        self._types: dict[str, Any] = data["types"]

    def lookup_type(self, name: str) -> CType:
        """See Symbols."""
        try:
            found = self._types[name]
        except KeyError:
            raise Missing(f"no type {name} in this layout") from None
        element = found.get("element")
        enumerators: dict[str, int] = found.get("enumerators", {})
        return CType(
            kind=Kind(found["kind"]),
            name=name,
            size=found["size"],
            signed=found.get("signed", False),
            count=found.get("count", 0),
            _element=partial(self.lookup_type, element) if element else None,
            _fields=partial(self._fields, found["fields"])
            if "fields" in found
            else None,
            _enumerators=lambda: enumerators,
        )

    def _fields(self, fields: dict[str, list[Any]]) -> tuple[Field, ...]:
        return tuple(
            Field(name, bit, bits, self.lookup_type(kind), kind)
            for name, (bit, bits, kind) in fields.items()
        )

    def address_of(self, symbol: str) -> int:
        """See Symbols."""
        return self._symbol(symbol)[0]

    def variable_size(self, symbol: str) -> int:
        """See Symbols."""
        return self._symbol(symbol)[1]

    def constant(self, name: str) -> int:
        """See Symbols."""
        try:
            return self.constants[name]
        except KeyError:
            raise Missing(f"no constant {name} in this layout") from None

    def _symbol(self, name: str) -> list[int]:
        try:
            return self.symbols[name]
        except KeyError:
            raise Missing(f"no symbol {name} in this layout") from None
