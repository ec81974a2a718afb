# SPDX-License-Identifier: GPL-2.0-only
"""C structures as classes: a structure is declared once and read in one go.

A declaration has the kernel's names and C types:

    class MapleTree(Struct, name="struct maple_tree"):
        ma_root: Ptr[object]
        ma_flags: U32

MapleTree(memory, address) reads one. Optional[...] marks a member that only some kernels
have, and that is None in the others; at(PATH) names a member of a member. Offsets come
from the kernel's debug info: the order of a declaration means nothing, and a value can be
reached by its name only.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Generic,
    Self,
    TypeAlias,
    TypeVar,
    Union,
)

from _collections import _tuplegetter

from .debugger import Missing
from .memory import Memory
from .structs import follow, has_member, member
from .types import CType, Kind

T = TypeVar("T", covariant=True)
S = TypeVar("S", bound="Struct")

U8: TypeAlias = int
U16: TypeAlias = int
U32: TypeAlias = int
U64: TypeAlias = int
S8: TypeAlias = int
S16: TypeAlias = int
S32: TypeAlias = int
S64: TypeAlias = int
Int: TypeAlias = int  # an integer whose width or sign is not the same in all kernels
Raw: TypeAlias = bytes  # an array or a structure, as its bytes
Flags: TypeAlias = Union[int, bytes]  # a word, or a bitmap of several as its bytes

if TYPE_CHECKING:

    class Ptr(int, Generic[T]):
        """The address of a T in the kernel's memory, 0 for NULL.

        Ptr[Any] is void *, which fits every pointer type. Where a plain number comes in
        (a register, the address of a symbol or member), Ptr[T](number) gives it a type.
        """

    class _Values:
        """Hides from mypy that a Struct is a tuple."""

else:

    class Ptr(int):
        """The address of an object in the kernel's memory: at run time a plain int."""

        def __class_getitem__(cls, kind: object) -> type:
            return cls

        def __new__(cls, number: int) -> int:
            return number

    class _Values(tuple):
        """A tuple that gives its values by name only."""

        __slots__ = ()
        __iter__ = None
        __getitem__ = None
        __contains__ = None
        count = index = None


NULL: Ptr[Any] = Ptr(0)
CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _is_integer(size: int, signed: bool) -> Callable[[CType], bool]:
    return lambda kind: (kind.is_scalar and kind.size == size and kind.signed == signed)


FITS: dict[str, Callable[[CType], bool]] = {
    **{f"U{8 * size}": _is_integer(size, False) for size in CODES},
    **{f"S{8 * size}": _is_integer(size, True) for size in CODES},
    "Int": lambda kind: kind.is_scalar,
    "Flags": lambda kind: kind.is_scalar or kind.is_composite,
    "Ptr": lambda kind: kind.kind is Kind.POINTER,
    "Raw": lambda kind: kind.kind in (Kind.ARRAY, Kind.STRUCT, Kind.UNION),
}


def _code(kind: CType) -> str:
    """The struct-module code of a member's type."""
    if kind.kind is Kind.POINTER:
        return "Q"
    if kind.is_scalar:
        return CODES[kind.size].lower() if kind.signed else CODES[kind.size]
    return f"{kind.size}s"


@dataclass(frozen=True)
class _At:
    path: str


def at(path: str) -> Any:
    """The path of a member that is declared by another name: "mm_count.counter"."""
    return _At(path)


@dataclass(frozen=True)
class Member:
    """A member as it is declared."""

    name: str
    path: str  # from the start of the structure, such as "mm_count.counter"
    type: str  # a key of FITS
    optional: bool


ANNOTATION = re.compile(r"(?P<optional>Optional\[)?(?P<type>\w+)(\[.*\])?\]?")


def _declared(cls: type) -> tuple[Member, ...]:
    members = []
    for name, annotation in cls.__dict__.get("__annotations__", {}).items():
        found = ANNOTATION.fullmatch(annotation)
        if not found or found["type"] not in FITS:
            raise TypeError(f"{cls.__name__}.{name} has no C type: {annotation}")
        given = cls.__dict__.get(name)
        path = given.path if isinstance(given, _At) else name
        members.append(Member(name, path, found["type"], bool(found["optional"])))
    return tuple(members)


class Struct(_Values):
    """A C structure of the kernel. See the top of this file."""

    c_name: ClassVar[str]  # such as "struct maple_tree"
    declared: ClassVar[tuple[Member, ...]]
    _form: ClassVar[struct.Struct | None]

    if TYPE_CHECKING:
        address: Ptr[Self]
    else:
        address = _tuplegetter(0, "where it is in the kernel's memory")

    def __init_subclass__(cls, name: str) -> None:
        cls.c_name, cls.declared, cls._form = name, _declared(cls), None
        follow(cls.form, cls.forget)

    def __new__(cls: type[S], memory: Memory, address: Ptr[S]) -> S:
        """Read the structure at an address. Raises memory.Fault, Missing."""
        values = (address,) + memory.unpack(cls.form(), address)
        made: S = tuple.__new__(cls, values)
        return made

    def __repr__(self) -> str:
        names = (declared.name for declared in self.declared)
        values = (f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({self.address:#x}: {', '.join(values)})"

    @classmethod
    def reader(cls: type[S], memory: Memory) -> Callable[[Ptr[S]], S]:
        """A function that reads the structure at an address: faster where there are many."""
        unpack, new = memory.unpacker(cls.form()), tuple.__new__
        return lambda address: new(cls, (address,) + unpack(address))

    @classmethod
    def of(cls: type[S], address: Ptr[S], data: bytes | memoryview) -> S:
        """The structure from bytes that were read already. Raises Missing."""
        values = (address,) + cls.form().unpack_from(data)
        made: S = tuple.__new__(cls, values)
        return made

    @classmethod
    def holding(cls: type[S], **members: int) -> S:
        """A structure that stands nowhere in memory, from its members. Raises Missing."""
        order = [name for _, _, name in _in_order(cls)]
        cls.form()
        made: S = tuple.__new__(cls, (NULL, *(members.pop(name) for name in order)))
        if members:
            raise TypeError(f"{cls.c_name} has no {', '.join(members)}")
        return made

    @classmethod
    def form(cls) -> struct.Struct:
        """How the members are unpacked in this kernel.

        :raises Missing: there is no such structure or member, or it has another type
        """
        if cls._form is None:
            code, end = "<", 0
            for number, (offset, kind, name) in enumerate(_in_order(cls), start=1):
                if offset < end:
                    raise TypeError(f"{cls.c_name}: {name} overlaps another member")
                code += f"{offset - end}x{_code(kind)}"
                end = offset + kind.size
                setattr(cls, name, _tuplegetter(number, f"{cls.c_name}.{name}"))
            cls._form = struct.Struct(code)
        return cls._form

    @classmethod
    def forget(cls) -> None:
        """Drop the layout: other symbols were loaded."""
        cls._form = None


def _in_order(cls: type[Struct]) -> list[tuple[int, CType, str]]:
    """Offset, type and name of the members that this kernel has, by offset."""
    placed = []
    for declared in cls.declared:
        name, path = declared.name, declared.path
        if declared.optional and not has_member(cls.c_name, path):
            setattr(cls, name, None)
            continue
        offset, kind = member(cls.c_name, path)
        if not FITS[declared.type](kind):
            raise Missing(
                f"{cls.c_name}.{path} is no {declared.type}: it is {kind.name}"
            )
        placed.append((offset, kind, name))
    return sorted(placed, key=lambda place: place[0])
