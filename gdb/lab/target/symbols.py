# SPDX-License-Identifier: GPL-2.0-only
"""The symbols and types of a kernel, whoever reads them."""

from __future__ import annotations

from typing import Protocol

from .types import CType


class Missing(KeyError):
    """The symbols have no such type, member, symbol or function."""

    def __str__(self) -> str:
        return str(self.args[0])


class Symbols(Protocol):
    """What vmlinux says: gdb's reading of it, drgn's, or a small part of it as JSON."""

    def lookup_type(self, name: str) -> CType:
        """The type called name, such as "struct mm_struct". Raises Missing."""

    def address_of(self, symbol: str) -> int:
        """The address of a variable or function. Raises Missing."""

    def variable_size(self, symbol: str) -> int:
        """The size of a variable in bytes. Raises Missing."""

    def constant(self, name: str) -> int:
        """The value of an enumerator, also of an anonymous enum. Raises Missing."""
