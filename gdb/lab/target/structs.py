# SPDX-License-Identifier: GPL-2.0-only
"""Where the members of C structures are: DWARF, asked once and kept.

A Form unpacks the wanted members of one object in one read. Everything here
depends on the symbols only, so it lives as long as they do.
"""

from __future__ import annotations

import functools
import re
import struct
from collections import namedtuple
from typing import Callable, Iterator, TypeVar

import gdb

from . import settings
from .memory import Memory

Function = TypeVar("Function", bound=Callable)
_caches: list = []


def cached(function: Function) -> Function:
    """functools.cache for what depends on nothing but the symbols."""
    wrapped = functools.cache(function)
    _caches.append(wrapped)
    return wrapped


@cached
def lookup_type(name: str) -> gdb.Type:
    """The type called name, such as "struct mm_struct".

    Raises gdb.error where the debug info has no such type.
    """
    with settings.needed():
        return gdb.lookup_type(name).strip_typedefs()


@cached
def has_type(name: str) -> bool:
    """Does the debug info know this type?"""
    try:
        lookup_type(name)
    except gdb.error:
        return False
    return True


@cached
def sizeof(name: str) -> int:
    """The size of a type in bytes."""
    return lookup_type(name).sizeof


def _fields(struct_type: gdb.Type) -> Iterator[tuple[str, int, gdb.Type, int]]:
    """Members with bit offset and bit size, those of anonymous ones included."""
    for field in struct_type.fields():
        if not hasattr(field, "bitpos"):
            continue  # an enumerator or a static member
        kind = field.type.strip_typedefs()
        if field.name:
            yield field.name, field.bitpos, kind, field.bitsize
        elif kind.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            for name, bits, inner, size in _fields(kind):
                yield name, field.bitpos + bits, inner, size


@cached
def _members(name: str) -> dict[str, tuple[int, gdb.Type, int]]:
    return {
        member: (bits, kind, size)
        for member, bits, kind, size in _fields(lookup_type(name))
    }


def _step(kind: gdb.Type, part: str) -> tuple[int, gdb.Type]:
    """One part of a member path: offset in bytes and type of NAME or NAME[I]."""
    name, index = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", part).groups()
    for member, bits, inner, size in _fields(kind):
        if member == name and not size:
            if index is None:
                return bits // 8, inner
            element = inner.target().strip_typedefs()
            return bits // 8 + int(index) * element.sizeof, element
    raise KeyError(part)


@cached
def member(name: str, path: str) -> tuple[int, gdb.Type]:
    """Offset in bytes and type of a member such as "mm_count.counter".

    Raises KeyError where the type has no such member.
    """
    first, _, rest = path.partition(".")
    plain = _members(name).get(first)
    if plain is not None and not plain[2]:
        offset, kind = plain[0] // 8, plain[1]
    else:
        offset, kind = _step(lookup_type(name), first)
    while rest:
        first, _, rest = rest.partition(".")
        more, kind = _step(kind, first)
        offset += more
    return offset, kind


def offsetof(name: str, path: str) -> int:
    """offsetof() in bytes. Raises KeyError where there is no such member."""
    return member(name, path)[0]


@cached
def has_member(name: str, path: str) -> bool:
    """Does the type have this member? The way to tell kernels apart."""
    try:
        member(name, path)
    except (KeyError, gdb.error):
        return False
    return True


def enumerators(name: str) -> dict[str, int]:
    """The names and values of an enum."""
    return {field.name: field.enumval for field in lookup_type(name).fields()}


def evaluate(expression: str) -> int:
    """The value of an expression of C. Raises gdb.error."""
    with settings.needed():
        return int(gdb.parse_and_eval(expression))


@cached
def constant(name: str) -> int:
    """The value of an enumerator, also of an enum without a name.

    Raises gdb.error where there is none.
    """
    return evaluate(name)


_INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}
SCALARS = (
    gdb.TYPE_CODE_INT,
    gdb.TYPE_CODE_ENUM,
    gdb.TYPE_CODE_BOOL,
    gdb.TYPE_CODE_CHAR,
)


def _code(kind: gdb.Type) -> str:
    """The struct-module code of a member's type."""
    if kind.code == gdb.TYPE_CODE_PTR:
        return "Q"
    if kind.code in SCALARS:
        code = _INTEGERS[kind.sizeof]
        signed = kind.code != gdb.TYPE_CODE_BOOL and kind.is_signed
        return code.lower() if signed else code
    if kind.code == gdb.TYPE_CODE_ARRAY:
        element = kind.target().strip_typedefs()
        if element.sizeof == 1:
            return f"{kind.sizeof}s"
    return f"{kind.sizeof}s"  # a structure or array as raw bytes


class Form:
    """Members of one structure type, unpacked together in one read.

    MM = Form("struct mm_struct", "pgd", "?mmap", count="mm_count.counter") is
    written once, at the top of a module; MM(memory, address) reads one object
    as a namedtuple. "?" marks a member that only some kernels have: where it
    is missing, so is the attribute. Underscores in front of a name are dropped. A keyword gives a path a name of its own.
    Nothing is looked up before the first read or prepare().
    """

    known: list[Form] = []

    def __init__(self, type_name: str, *names: str, **paths: str) -> None:
        self.type_name = type_name
        self._wanted = {name.lstrip("?"): name for name in names} | paths
        self._struct: struct.Struct | None = None
        self._make: Callable[[tuple], tuple] | None = None
        Form.known.append(self)

    def __repr__(self) -> str:
        return f"Form({self.type_name!r}, {', '.join(self._wanted)})"

    def resolve(self) -> tuple[struct.Struct, Callable[[tuple], tuple]]:
        """How to unpack an object and what to make of the values.

        Raises gdb.error where there is no such type, KeyError where it has no
        such member.
        """
        if self._struct is None:
            placed = sorted(self._place(), key=lambda place: place[0])
            code, end = "<", 0
            for offset, kind, name in placed:
                if offset < end:
                    raise ValueError(f"{self.type_name}: {name} overlaps another")
                code += f"{offset - end}x" + _code(kind)
                end = offset + kind.sizeof
            names = [name.lstrip("_") for _, _, name in placed]
            self._struct = struct.Struct(code)
            # What namedtuple._make() does, without its check of the length
            kind = namedtuple(self.type_name.split()[-1], names)
            self._make = functools.partial(tuple.__new__, kind)
        return self._struct, self._make

    def _place(self) -> Iterator[tuple[int, gdb.Type, str]]:
        for name, path in self._wanted.items():
            if path[0] != "?" or has_member(self.type_name, path[1:]):
                yield *member(self.type_name, path.lstrip("?")), name

    def __call__(self, memory: Memory, address: int) -> tuple:
        """Read one object. Raises memory.Fault."""
        form, make = self.resolve()
        return make(memory.unpack(form, address))

    def reader(self, memory: Memory) -> Callable[[int], tuple]:
        """A function that reads one object at an address, for reading many."""
        form, make = self.resolve()
        unpack = memory.unpacker(form)
        return lambda address: make(unpack(address))

    def forget(self) -> None:
        """Other symbols were loaded."""
        self._struct = self._make = None


_expected: list[str] = []


def expect(*symbols: str) -> None:
    """Name symbols that will be asked for, so that prepare() can look them up."""
    _expected.extend(symbols)


def prepare() -> None:
    """Look everything up now, so that the first stop is as quick as the others."""
    for symbol in _expected:
        has_symbol(symbol)
    for form in Form.known:
        try:
            form.resolve()
        except (KeyError, gdb.error):
            pass  # of another kernel version: said where it is used


@cached
def address_of(symbol: str) -> int:
    """The address of a variable or function, or of its per-CPU template.

    Raises gdb.error where the kernel has no such symbol.
    """
    return evaluate(f"(unsigned long)&'{symbol}'")


@cached
def variable_size(symbol: str) -> int:
    """The size of a variable in bytes. Raises gdb.error where there is none."""
    return evaluate(f"sizeof('{symbol}')")


@cached
def has_symbol(symbol: str) -> bool:
    """Does the kernel have this symbol? The way to tell kernels apart."""
    try:
        address_of(symbol)
    except gdb.error:
        return False
    return True


def forget() -> None:
    """Drop everything: other symbols were loaded."""
    for form in Form.known:
        form.forget()
    for function in _caches:
        function.cache_clear()
