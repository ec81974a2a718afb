# SPDX-License-Identifier: GPL-2.0-only
"""The program's headers beside the areas they became."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from ..linux import filemap, maps, mm as mm_, task
from ..linux.maps import Places
from ..linux.structs.fs import Path
from ..linux.structs.mm_types import MmStruct
from ..printable import quoted, text_of
from ..programs import elf, elf_areas
from ..result import Address, Number, Report, Table, Words
from ..target import elffile, hostfiles
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.elffile import SHF_ALLOC, BadElf
from ..target.memory import Broken, Fault


class HeaderRow(NamedTuple):
    """A member of the ELF header."""

    field: Words
    value: Address
    meaning: Words


class SegmentRow(NamedTuple):
    """A program header."""

    header: Number
    type: Words
    perms: Words
    offset: Address
    vaddr: Address
    loaded: Address | None
    filesz: Address
    memsz: Address
    align: Address


class PieceRow(NamedTuple):
    """A part of a LOAD, and the area it was mapped to."""

    load: Number
    start: Address
    end: Address
    perms: Words
    offset: Address | None
    name: Words
    why: Words


class AuxvRow(NamedTuple):
    """An entry of the auxiliary vector."""

    entry: Words
    type: Number
    value: Address
    text: Words
    meaning: Words


class SectionRow(NamedTuple):
    """A section that is loaded."""

    section: Words
    loaded: Address
    size: Address
    flags: Words


STRINGS = (elf.AT_EXECFN, elf.AT_PLATFORM)
LONGEST = 4096  # bytes of a string; PATH_MAX of include/uapi/linux/limits.h
STRIPPED = "no sections: the program was stripped of them"
SHF = ((1, "W"), (2, "A"), (4, "X"), (0x400, "T"))


@dataclass
class ElfReport(Report, schema="elf"):
    """A program: its headers, the areas they became, its auxiliary vector, sections."""

    program: str
    header: Table[HeaderRow]
    segments: Table[SegmentRow]
    pieces: Table[PieceRow]
    interpreter: list[str]
    auxv: Table[AuxvRow]
    sections: Table[SectionRow] | str


def describe(mm: Ptr[MmStruct], name: str) -> ElfReport:
    """Read the program that an address space was made for.

    :param name: path of the same program on this machine, "" for none
    :raises Refused: that file cannot be read, or is another program
    :raises Broken: the areas, or the file in the page cache, are damaged
    """
    what = elf.program(mm)
    root = task.onlooker_root()
    places = Places(mm, root)
    path = maps.file_of(what.file, root).name
    return ElfReport(
        program=f"{path}, headers read from {what.source}, loaded at {what.bias:#x}"
        + (" more than its addresses say" if what.bias else ", as it says"),
        header=_header(what),
        segments=_segments(what),
        pieces=_pieces(what, mm, root),
        interpreter=_interpreter(what, mm, places),
        auxv=_auxv(mm, places),
        sections=_sections(what, os.path.expanduser(name)),
    )


def _header(what: elf.Program) -> Table[HeaderRow]:
    header = what.header
    kind = elf.TYPES.get(header.e_type, "?")
    meanings = {
        "e_type": f"{kind}: " + _kind(what),
        "e_machine": "EM_X86_64" if header.e_machine == 62 else "another machine",
        "e_entry": f"the first instruction, loaded at {header.e_entry + what.bias:#x}",
        "e_phoff": "where in the file the program headers are",
        "e_shoff": "where in the file the section headers are",
        "e_phnum": "number of program headers",
        "e_shnum": "number of section headers",
    }
    rows = [
        HeaderRow(name, getattr(header, name), meaning)
        for name, meaning in meanings.items()
    ]
    return Table(HeaderRow, "ELF header", rows)


def _kind(what: elf.Program) -> str:
    if what.find(elffile.PT_INTERP) is not None:
        how = "needs an interpreter, which loads its libraries"
    else:
        how = "needs no interpreter"
    if what.header.e_type == elffile.ET_DYN:
        return f"can be loaded anywhere, {how}"
    return f"has its place, {how}"


def _segments(what: elf.Program) -> Table[SegmentRow]:
    rows = [
        SegmentRow(
            header=number,
            type=segment.name,
            perms=segment.perms,
            offset=segment.p_offset,
            vaddr=segment.p_vaddr,
            loaded=segment.p_vaddr + what.bias if segment.p_memsz else None,
            filesz=segment.p_filesz,
            memsz=segment.p_memsz,
            align=segment.p_align,
        )
        for number, segment in enumerate(what.segments)
    ]
    return Table(SegmentRow, "program headers", rows)


def _pieces(what: elf.Program, mm: Ptr[MmStruct], root: Ptr[Path]) -> Table[PieceRow]:
    """The areas of each LOAD; the numbers are those of the table of headers."""
    table = Table(PieceRow, "what each LOAD became")
    areas: list[maps.Area] = []
    try:
        areas.extend(maps.for_each_area(mm, root))
    except Broken as broken:
        table.broken = str(broken)
    numbers = [
        i
        for i, segment in enumerate(what.segments)
        if segment.p_type == elffile.PT_LOAD
    ]
    for piece in elf_areas.pieces(what, areas):
        area = piece.area
        table.rows.append(
            PieceRow(
                numbers[piece.segment],
                piece.start,
                piece.end,
                area.perms if area else "",
                area.offset if area else None,
                area.name if area else "",
                "; ".join(piece.why),
            )
        )
    return table


def _interpreter(what: elf.Program, mm: Ptr[MmStruct], places: Places) -> list[str]:
    segment = what.find(elffile.PT_INTERP)
    if segment is None:
        return []
    try:
        size = min(segment.p_filesz, LONGEST)
        data = filemap.kernel_read(what.file, segment.p_offset, size)
        name = text_of(data.rstrip(b"\0"))
    except Fault:
        name = "(its name is not in memory)"
    base = dict(elf.saved_auxv(mm)).get(elf.AT_BASE, 0)
    found = places.find(base)
    where = f"{places.name(found)} at {base:#x}" if found else "not loaded"
    return [f"interpreter: {name}: {where}"]


def _auxv(mm: Ptr[MmStruct], places: Places) -> Table[AuxvRow]:
    table = Table(AuxvRow, "auxiliary vector")
    for kind, value in elf.saved_auxv(mm):
        name, meaning = elf.AUXV.get(kind, (f"AT_{kind}", ""))
        text = _text(mm, kind, value, places)
        table.rows.append(AuxvRow(name, kind, value, text, meaning))
    if not table.rows:
        table.broken = "it is not written yet: the process is in the middle of an exec"
    return table


def _text(mm: Ptr[MmStruct], kind: int, value: int, places: Places) -> str:
    """The string, bytes or place that an entry points to."""
    try:
        if kind in STRINGS:
            return _string(mm, value)
        if kind == elf.AT_RANDOM:
            return mm_.access_process_vm(mm, value, 16).hex()
    except Fault:
        return "not in memory"
    if kind in (elf.AT_PHDR, elf.AT_BASE, elf.AT_ENTRY, elf.AT_SYSINFO_EHDR):
        return places.text(value)
    return "" if value < 10 else str(value)


def _string(mm: Ptr[MmStruct], address: int) -> str:
    """A string in user memory, which may end at the last byte that is mapped."""
    text = b""
    while b"\0" not in text and len(text) < LONGEST:
        step = 64 - (address + len(text)) % 64
        text += mm_.access_process_vm(mm, address + len(text), step)
    return quoted(text_of(text.split(b"\0")[0]), LONGEST)


def _sections(what: elf.Program, name: str) -> Table[SectionRow] | str:
    """The loaded sections, from the page cache or from a file of the host."""
    if name:
        file = _given(what, name)
    else:
        if not what.header.e_shnum:
            return STRIPPED
        try:
            data = filemap.kernel_read_all(what.file, hostfiles.LARGEST)
            file = elffile.parse(elffile.Data(data))
        except Fault:
            return (
                "sections: the file is not all in memory; if the host has the same "
                "one, type lab elf PID FILE"
            )
        except BadElf as odd:
            return f"sections: they cannot be told: {odd}"
    if file.no_sections:
        return f"sections: they cannot be told: {file.no_sections}"
    if not file.sections:
        return STRIPPED
    rows = [
        SectionRow(
            section.name,
            section.sh_addr + what.bias,
            section.sh_size,
            "".join(letter for bit, letter in SHF if section.sh_flags & bit),
        )
        for section in file.sections
        if section.sh_flags & SHF_ALLOC and section.sh_size
    ]
    return Table(SectionRow, "sections in memory", rows)


def _given(what: elf.Program, name: str) -> elffile.ElfFile:
    """The file that the person named. Raises Refused if it is another program."""
    try:
        file = elffile.parse(elffile.Data(hostfiles.read(name)))
    except hostfiles.Unfit as why:
        raise Refused(f"Cannot read {name}: {why}.") from None
    except BadElf as why:
        raise Refused(f"{name} is another program: {why}.") from None
    if not elf.is_same(what, file):
        raise Refused(
            f"{name} is another program: its ELF header or program headers differ."
        )
    return file
