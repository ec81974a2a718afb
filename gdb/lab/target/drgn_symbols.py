# SPDX-License-Identifier: GPL-2.0-only
"""vmlinux as drgn reads its debug info: symbols and types without gdb."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from .debugger import Refused
from .elffile import BadElf
from .hostfiles import Unfit
from .symbols import Missing
from .symtab import Symtab
from .types import CType, Field, Kind


class DrgnSymbols:
    """The symbols of a vmlinux: see Symbols."""

    def __init__(self, vmlinux: str) -> None:
        """Open a vmlinux. Raises Refused."""
        try:
            import drgn
        except ModuleNotFoundError:
            raise Refused(
                "Python has no module drgn: install Debian's python3-drgn."
            ) from None
        self.vmlinux = vmlinux
        self._drgn: Any = drgn
        self._program: Any = drgn.Program()
        try:
            self._program.load_debug_info([vmlinux])
        except (drgn.MissingDebugInfoError, OSError, ValueError) as problem:
            raise Refused(
                f"{vmlinux} has no debug info that can be read: {problem}."
            ) from None

    def lookup_type(self, name: str) -> CType:
        """See Symbols."""
        try:
            return self._c_type(self._program.type(name))
        except (LookupError, SyntaxError) as problem:
            raise Missing(str(problem)) from None

    def constant(self, name: str) -> int:
        """See Symbols."""
        try:
            return int(self._program.constant(name))
        except LookupError as problem:
            raise Missing(str(problem)) from None

    def address_of(self, symbol: str) -> int:
        """See Symbols."""
        return self._symbol(symbol)[0]

    def variable_size(self, symbol: str) -> int:
        """See Symbols."""
        return self._symbol(symbol)[1]

    def _symbol(self, name: str) -> tuple[int, int]:
        """Address and size of the first global symbol, else of the first local."""
        found = self._table.named(name)
        if not found:
            raise Missing(f'No symbol "{name}" in {self.vmlinux}.')
        chosen = next((one for one in found if one.is_global), found[0])
        return chosen.address, chosen.size

    @cached_property
    def _table(self) -> Symtab:
        try:
            return Symtab(self.vmlinux)
        except (Unfit, BadElf) as why:
            raise Refused(f"{self.vmlinux} cannot be read: {why}.") from None

    def _c_type(self, given: Any) -> CType:
        """A drgn.Type as a CType."""
        kinds = self._drgn.TypeKind
        name = given.type_name()
        while given.kind == kinds.TYPEDEF:
            given = given.type
        kind, element, fields, enumerators, count = Kind.OTHER, None, None, None, 0
        if given.kind == kinds.INT:
            kind = Kind.CHAR if given.size == 1 and "char" in given.name else Kind.INT
        elif given.kind == kinds.BOOL:
            kind = Kind.BOOL
        elif given.kind == kinds.ENUM:
            kind = Kind.ENUM
            enumerators = partial(_enumerators, given)
        elif given.kind in (kinds.POINTER, kinds.ARRAY):
            is_array = given.kind == kinds.ARRAY
            kind = Kind.ARRAY if is_array else Kind.POINTER
            count = given.length or 0 if is_array else 0
            element = partial(self._c_type, given.type)
        elif given.kind in (kinds.STRUCT, kinds.UNION):
            kind = Kind.STRUCT if given.kind == kinds.STRUCT else Kind.UNION
            fields = partial(self._fields, given)
        return CType(
            kind=kind,
            name=name,
            size=self._size(given),
            signed=_is_signed(given, kind),
            count=count,
            _element=element,
            _fields=fields,
            _enumerators=enumerators,
        )

    def _size(self, given: Any) -> int:
        try:
            return int(self._drgn.sizeof(given))
        except TypeError:  # a function, void, or a structure that is only declared
            return 0

    def _fields(self, given: Any) -> tuple[Field, ...]:
        if given.members is None:
            return ()
        return tuple(
            Field(
                member.name or "",
                member.bit_offset,
                member.bit_field_size or 0,
                self._c_type(member.type),
                member.type.type_name(),
            )
            for member in given.members
        )


def _enumerators(given: Any) -> dict[str, int]:
    return {enumerator.name: enumerator.value for enumerator in given.enumerators or ()}


def _is_signed(given: Any, kind: Kind) -> bool:
    if kind is Kind.ENUM:
        return given.type is not None and bool(given.type.is_signed)
    return kind in (Kind.INT, Kind.CHAR) and bool(given.is_signed)
