# SPDX-License-Identifier: GPL-2.0-only
"""A user program's ELF file on this machine: call frames, symbols, lines."""

from __future__ import annotations

import bisect
import functools
import io
import os
import struct
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.dwarf.lineprogram import LineProgram
from elftools.elf.elffile import ELFFile

from .callframe import CallFrames
from .hostfiles import ROOT

SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym
FUNCTIONS = (0, 2, 10)  # STT_NOTYPE of assembly code, STT_FUNC, STT_GNU_IFUNC
LOCAL = 0  # STB_LOCAL
NOTE_HEAD = struct.Struct("<III")
NT_GNU_BUILD_ID = 3
PAGE_MASK = ~0xFFF


class SymbolFile:
    """An ELF file. Addresses are those it was linked for.

    Parameters: the file's bytes as a stream, and what to call it. Raises ELFError.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self._elf = ELFFile(stream)
        self._segments = [segment.header for segment in self._elf.iter_segments()]
        self._variables: dict[str, int | None] = {}

    @functools.cached_property
    def frames(self) -> CallFrames | None:
        """What .eh_frame knows, None if the file has none."""
        section = self._elf.get_section_by_name(".eh_frame")
        if section is None:
            return None
        return CallFrames(section.data(), section["sh_addr"])

    @functools.cached_property
    def build_id(self) -> tuple[int, bytes] | None:
        """The address and the bytes of the linker's note, None if there is none."""
        for header in self._segments:
            if header.p_type != "PT_NOTE":
                continue
            data, at = self.contents(header.p_vaddr, header.p_filesz), 0
            while at + NOTE_HEAD.size <= len(data):
                name, size, kind = NOTE_HEAD.unpack_from(data, at)
                body = at + NOTE_HEAD.size + (name + 3 & ~3)
                if kind == NT_GNU_BUILD_ID:
                    return header.p_vaddr + body, data[body : body + size]
                at = body + (size + 3 & ~3)
        return None

    def contents(self, address: int, size: int) -> bytes:
        """Bytes as the file has them, none where it has none."""
        offset = self.offset_of(address)
        if offset is None:
            return b""
        self._elf.stream.seek(offset)
        return self._elf.stream.read(size)

    def offset_of(self, address: int) -> int | None:
        """Where in the file an address is, None if it is not from the file."""
        for header in self._segments:
            inside = address - header.p_vaddr
            if header.p_type == "PT_LOAD" and 0 <= inside < header.p_filesz:
                return header.p_offset + inside
        return None

    def address_of(self, offset: int) -> int | None:
        """The address that the page at an offset in the file was linked for."""
        for header in self._segments:
            start = header.p_offset & PAGE_MASK
            if header.p_type == "PT_LOAD" and 0 <= offset - start < (
                header.p_offset + header.p_filesz - start
            ):
                return (header.p_vaddr & PAGE_MASK) + offset - start
        return None

    def symbol(self, address: int) -> tuple[str, int] | None:
        """The function around an address and how far into it that is."""
        starts, symbols = self._symbols
        index = bisect.bisect_right(starts, address) - 1
        if index < 0:
            return None
        size, name = symbols[index]
        inside = address - starts[index]
        return (name, inside) if inside < size else None

    def variable(self, name: str) -> int | None:
        """The address of a variable, None if the file knows none of this name."""
        if name not in self._variables:
            self._variables[name] = self._variable(name)
        return self._variables[name]

    def _variable(self, name: str) -> int | None:
        """Looks through all symbols."""
        section = self._elf.get_section_by_name(".symtab")
        for symbol in section and section.get_symbol_by_name(name) or ():
            if symbol["st_info"]["type"] == "STT_OBJECT":
                return symbol["st_value"]
        return None

    @functools.cached_property
    def _symbols(self) -> tuple[list[int], list[tuple[int, str]]]:
        """Functions by address; of several at one address the plainest name."""
        section = self._elf.get_section_by_name(".symtab")
        section = section or self._elf.get_section_by_name(".dynsym")
        if section is None:
            return [], []
        names = self._elf.get_section(section["sh_link"]).data()
        best: dict[int, tuple] = {}
        for name, info, _, index, value, size in SYMBOL.iter_unpack(section.data()):
            if not index or not value or info & 0xF not in FUNCTIONS or not name:
                continue
            text = names[name : names.index(0, name)].decode("utf-8", "replace")
            rank = (not size, info >> 4 == LOCAL, len(text) - len(text.lstrip("_")))
            if value not in best or rank + (len(text),) < best[value][0]:
                best[value] = (rank + (len(text),), size, text)
        starts = sorted(best)
        ends = starts[1:] + [1 << 64]
        return starts, [
            (best[start][1] or end - start, best[start][2])
            for start, end in zip(starts, ends)
        ]

    def line(self, address: int) -> str:
        """FILE:LINE of an instruction, "" where there is no debug info."""
        if not self._elf.has_dwarf_info() or self._units is None:
            return ""
        dwarf, ranges = self._units
        offset = ranges.cu_offset_at_addr(address)
        if offset is None:
            return ""
        unit = dwarf.get_CU_at(offset)
        lines = dwarf.line_program_for_CU(unit)
        before = None
        for entry in lines.get_entries() if lines else ():
            state = entry.state
            if state is None:
                continue
            if before is not None and before.address <= address < state.address:
                return f"{_file_name(lines, before.file)}:{before.line}"
            before = None if state.end_sequence else state
        return ""

    @functools.cached_property
    def _units(self) -> tuple | None:
        """The debug info and which unit is where, None if there is none."""
        if self._elf.get_section_by_name(".debug_aranges") is None:
            return None  # .eh_frame alone counts as DWARF to pyelftools
        dwarf = self._elf.get_dwarf_info()
        ranges = dwarf.get_aranges()
        return (dwarf, ranges) if ranges is not None else None


def _file_name(lines: LineProgram, number: int) -> str:
    """A file of a line program, relative to the clone if it is in there."""
    header = lines.header
    counts_from = 0 if header.version >= 5 else 1
    entry = header.file_entry[number - counts_from]
    name = entry.name.decode("utf-8", "replace")
    if entry.dir_index and not name.startswith("/"):
        folder = header.include_directory[entry.dir_index - counts_from]
        name = os.path.join(folder.decode("utf-8", "replace"), name)
    return name.removeprefix(f"{ROOT}/")


@functools.lru_cache(32)
def _opened(path: str, changed: int) -> SymbolFile | None:
    try:
        with open(path, "rb") as file:
            return SymbolFile(io.BytesIO(file.read()), path)
    except (OSError, ELFError):
        return None


def symbol_file(path: str) -> SymbolFile | None:
    """The ELF file at a path, None if there is no ELF file there."""
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        return None
    return _opened(path, changed)
