# SPDX-License-Identifier: GPL-2.0-only
"""The symbol table of a vmlinux: addresses by name, without its debug info.

gdb reads all debug info of a source file to tell the address of one variable in it.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from . import elffile
from .elffile import SHN_UNDEF, SYM, BadElf
from .hostfiles import opened

STB_LOCAL = 0


class Symbol(NamedTuple):
    """A symbol of an ELF file."""

    address: int
    size: int
    is_global: bool


class Symtab:
    """The symbols of an ELF file. Raises hostfiles.Unfit, BadElf if there are none."""

    def __init__(self, file: str) -> None:
        with opened(file) as source:
            elf = elffile.parse(source)
            table = elf.section(".symtab")
            if table is None:
                raise BadElf("it has no symbols")
            entries = elf.data(table)
            self._entries = entries[: len(entries) - len(entries) % SYM.size]
            self._names = elf.data(elf.sections[table.sh_link])

    @cached_property
    def _places(self) -> tuple[dict[int, int], dict[int, int]]:
        """The first and the last symbol with each name, by where that is in the names."""
        # st_name is the first of the six words of 32 bits
        starts = memoryview(self._entries).cast("I")[::6].tolist()
        last = dict(zip(starts, range(len(starts))))
        first = dict(zip(reversed(starts), range(len(starts) - 1, -1, -1)))
        return first, last

    def named(self, name: str) -> list[Symbol]:
        """All symbols with a name, in the order of the file."""
        word = name.encode() + b"\0"
        first, last = self._places
        found: list[int] = []
        place = self._names.find(word)
        while place >= 0:  # it may also be the end of a longer name
            if place in first:
                found += self._all(place, first[place], last[place])
            place = self._names.find(word, place + 1)
        symbols = []
        for number in sorted(found):
            _, info, _, section, value, size = SYM.unpack_from(
                self._entries, number * SYM.size
            )
            if section != SHN_UNDEF:
                symbols.append(Symbol(value, size, info >> 4 != STB_LOCAL))
        return symbols

    def _all(self, place: int, first: int, last: int) -> list[int]:
        """All symbols whose name is at a place."""
        if first == last:
            return [first]
        wanted, step = place.to_bytes(4, "little"), SYM.size
        data = self._entries
        return [
            number
            for number in range(first, last + 1)
            if data[number * step : number * step + 4] == wanted
        ]
