# SPDX-License-Identifier: GPL-2.0-only
"""Where the members of C structures are: DWARF, asked once and kept.

Everything here depends on the symbols only, so it lives as long as they do.
"""

from __future__ import annotations

import functools
import re
from typing import Callable, ParamSpec, TypeVar, cast

from .debugger import Missing, debugger
from .types import CType, Field

P = ParamSpec("P")
R = TypeVar("R")
_forgetting: list[Callable[[], None]] = []
_prepared: list[Callable[[], object]] = []


def cached(function: Callable[P, R]) -> Callable[P, R]:
    """functools.cache for what depends on nothing but the symbols."""
    wrapped = functools.cache(function)
    _forgetting.append(wrapped.cache_clear)
    return cast(Callable[P, R], wrapped)


def follow(prepare: Callable[[], object], forget: Callable[[], None]) -> None:
    """Register a function for prepare() to call, and one for forget()."""
    _prepared.append(prepare)
    _forgetting.append(forget)


@cached
def lookup_type(name: str) -> CType:
    """The type called name, such as "struct mm_struct".

    Raises Missing where the debug info has no such type.
    """
    return debugger().lookup_type(name)


@cached
def has_type(name: str) -> bool:
    """Does the debug info know this type?"""
    try:
        lookup_type(name)
    except Missing:
        return False
    return True


@cached
def sizeof(name: str) -> int:
    """The size of a type in bytes."""
    return lookup_type(name).size


@cached
def _members(name: str) -> dict[str, Field]:
    return {field.name: field for field in lookup_type(name).named_fields()}


def _step(kind: CType, part: str) -> tuple[int, CType]:
    """One part of a member path: offset in bytes and type of NAME or NAME[I]."""
    found = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", part)
    assert found, f"{part} is no part of a member's path"
    name, index = found.groups()
    for field in kind.named_fields():
        if field.name == name and not field.bits:
            if index is None:
                return field.offset, field.type
            element = field.type.element
            return field.offset + int(index) * element.size, element
    raise Missing(f"{kind.name} has no member {part}")


@cached
def member(name: str, path: str) -> tuple[int, CType]:
    """Offset in bytes and type of a member such as "mm_count.counter".

    Raises Missing where the type has no such member.
    """
    first, _, rest = path.partition(".")
    plain = _members(name).get(first)
    if plain is not None and not plain.bits:
        offset, kind = plain.offset, plain.type
    else:
        offset, kind = _step(lookup_type(name), first)
    while rest:
        first, _, rest = rest.partition(".")
        more, kind = _step(kind, first)
        offset += more
    return offset, kind


def offsetof(name: str, path: str) -> int:
    """offsetof() in bytes. Raises Missing where there is no such member."""
    return member(name, path)[0]


@cached
def has_member(name: str, path: str) -> bool:
    """Does the type have this member? The way to tell kernels apart."""
    try:
        member(name, path)
    except Missing:
        return False
    return True


def enumerators(name: str) -> dict[str, int]:
    """The names and values of an enum."""
    return lookup_type(name).enumerators


@cached
def constant(name: str) -> int:
    """The value of an enumerator, also of an anonymous enum.

    Raises Missing where there is none.
    """
    return debugger().constant(name)


_expected: list[str] = []


def expect(*symbols: str) -> None:
    """Name symbols that will be asked for, so that prepare() can look them up."""
    _expected.extend(symbols)


def prepare() -> None:
    """Look everything up now, so that the first stop is as quick as the others."""
    for symbol in _expected:
        has_symbol(symbol)
    for look_up in _prepared:
        try:
            look_up()
        except Missing:
            pass  # of another kernel version: whoever uses it says so


@cached
def address_of(symbol: str) -> int:
    """The address of a variable or function, or of its per-CPU template.

    Raises Missing where the kernel has no such symbol.
    """
    return debugger().address_of(symbol)


@cached
def variable_size(symbol: str) -> int:
    """The size of a variable in bytes. Raises Missing where there is none."""
    return debugger().variable_size(symbol)


@cached
def has_symbol(symbol: str) -> bool:
    """Does the kernel have this symbol? The way to tell kernels apart."""
    try:
        address_of(symbol)
    except Missing:
        return False
    return True


def forget() -> None:
    """Drop everything: other symbols were loaded."""
    for function in _forgetting:
        function()
