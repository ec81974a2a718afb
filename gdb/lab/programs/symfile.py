# SPDX-License-Identifier: GPL-2.0-only
"""A user program's ELF file: call frames, symbols, lines.

The file may be the guest's own and hold anything. So every size is bounded, and what is
damaged is not known; only opening a file raises, and only BadElf.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import os
from array import array

from ..printable import text_of
from ..target import hostfiles
from ..target.elffile import SYM, BadElf, Data, parse
from ..target.hostfiles import ROOT, Unfit
from .callframe import CallFrames, Frame
from .linenumbers import Lines

OBJECT = 1  # STT_OBJECT
FUNCTIONS = (0, 2, 10)  # STT_NOTYPE of assembly code, STT_FUNC, STT_GNU_IFUNC
LOCAL = 0  # STB_LOCAL
MAX_NAME = 4096  # bytes of a symbol's name
MAX_SYMBOLS = 1 << 20  # of a table; a large browser has fewer


class SymbolFile:
    """An ELF file. Addresses are link addresses.

    :param data: all of the file
    :param name: what to call it
    :param of_guest: is it the guest's own copy, because no file of this machine is the same?
    :raises BadElf: it is no ELF file, or a damaged one
    """

    def __init__(self, data: bytes, name: str, of_guest: bool) -> None:
        self.name = name
        self.of_guest = of_guest
        self.elf = parse(Data(data))
        self.build_id = self.elf.build_id()
        self._lines = None if of_guest else Lines(data)

    @functools.cached_property
    def frames(self) -> CallFrames | None:
        """The call frames in .eh_frame, None if there are none that can be read."""
        section = self.elf.section(".eh_frame")
        if section is None:
            return None
        try:
            return CallFrames(self.elf.data(section), section.sh_addr)
        except BadElf:
            return None

    def rules(self, address: int) -> Frame | None:
        """How to get from an address to the caller, None if that is not known."""
        return self.frames.find(address) if self.frames else None

    def symbol(self, address: int) -> tuple[str, int] | None:
        """The function around an address, and how far into it the address is."""
        data, names = self._function_table
        starts, places = self._functions
        index = bisect.bisect_right(starts, address) - 1
        if index < 0:
            return None
        name, *_, size = SYM.unpack_from(data, places[index] * SYM.size)
        if not size:  # as far as the next one
            size = next(iter(starts[index + 1 : index + 2]), 1 << 64) - starts[index]
        inside = address - starts[index]
        return (text_of(_string(names, name)), inside) if inside < size else None

    @functools.lru_cache(64)
    def variable(self, name: str) -> int | None:
        """The address of a variable, None if the file has none of this name."""
        wanted = name.encode() + b"\0"
        value: int
        data, names = self._table(".symtab")
        for place, info, _, _, value, _ in SYM.iter_unpack(data):
            if info & 0xF == OBJECT and names.startswith(wanted, place):
                return value
        return None

    def _table(self, *sections: str) -> tuple[bytes, bytes]:
        """The first of these symbol tables that is there, and its strings.

        One that is too large is left out: half of it would give functions wrong names.
        """
        for name in sections:
            section = self.elf.section(name)
            if section is None or section.sh_link >= len(self.elf.sections):
                continue
            if section.sh_size // SYM.size > MAX_SYMBOLS:
                continue
            try:
                data = self.elf.data(section)
                names = self.elf.data(self.elf.sections[section.sh_link])
            except BadElf:
                continue
            return data[: len(data) - len(data) % SYM.size], names
        return b"", b""

    @functools.cached_property
    def _function_table(self) -> tuple[bytes, bytes]:
        return self._table(".symtab", ".dynsym")

    @functools.cached_property
    def _functions(self) -> tuple[array[int], array[int]]:
        """Addresses of functions, lowest first, and the index of the symbol of each.

        Of several symbols at one address it is the one with the plainest name. Names are
        not copied: in a guest's file each may be long, and all may overlap.
        """
        data, names = self._function_table
        found: list[int] = sorted(
            value << 32 | number
            for number, (name, info, _, index, value, _) in enumerate(
                SYM.iter_unpack(data)
            )
            if index and value and info & 0xF in FUNCTIONS and name
        )

        def rank(key: int) -> tuple[bool, bool, int, int, int]:
            number = key & 0xFFFF_FFFF
            name, info, *_, size = SYM.unpack_from(data, number * SYM.size)
            text = _string(names, name)
            lead = len(text) - len(text.lstrip(b"_"))
            return not size, info >> 4 == LOCAL, lead, len(text), number

        starts, places = array("Q"), array("I")
        for value, same in itertools.groupby(found, lambda key: key >> 32):
            starts.append(value)
            places.append(min(same, key=rank) & 0xFFFF_FFFF)
        return starts, places

    def line(self, address: int) -> str:
        """FILE:LINE of an instruction, "" if that is not known.

        Files in the clone are given relative to it. Slow: decodes the lines of a whole unit.
        """
        found = self._lines and self._lines.find(address)
        return f"{found[0].removeprefix(f'{ROOT}/')}:{found[1]}" if found else ""


def _string(names: bytes, place: int) -> bytes:
    """A string of a symbol table."""
    return names[place : place + MAX_NAME].split(b"\0", 1)[0]


@functools.lru_cache(32)
def _parsed(path: str, is_given: bool, version: tuple[int, ...]) -> SymbolFile | str:
    """The file, or why there is none."""
    try:
        data = hostfiles.read(path) if is_given else hostfiles.read_plain(path)
        return SymbolFile(data, path, of_guest=False)
    except (Unfit, BadElf) as why:
        return str(why)


def symbol_file(path: str, is_given: bool) -> SymbolFile:
    """The ELF file at a path of this machine.

    :param is_given: did the person name it? Else it must be one of hostfiles.candidates()
    :raises BadElf: there is no such file
    """
    try:
        what = os.stat(path)
        version = what.st_dev, what.st_ino, what.st_size, what.st_mtime_ns
    except (OSError, ValueError):
        version = None
    found = _parsed(path, is_given, version)
    if isinstance(found, str):
        raise BadElf(found)
    return found
