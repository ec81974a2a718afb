# SPDX-License-Identifier: GPL-2.0-only
"""lab elf: the program's headers beside the areas they became."""

from __future__ import annotations

import os

import gdb

from ..linux import filemap, maps, mm as mm_, task
from ..linux.maps import Places
from ..printable import quoted, text_of
from ..programs import elf, elf_areas
from ..result import Result, Table, columns
from ..target import elffile, hostfiles
from ..target.elffile import BadElf
from ..target.memory import Broken, Fault
from .base import LabCommand, mm_of

HEADER = columns(field="text", value="address", meaning="text")
SEGMENTS = columns(
    header="number",
    type="text",
    perms="text",
    offset="address",
    vaddr="address",
    loaded="address",
    filesz="address",
    memsz="address",
    align="address",
)
PIECES = columns(
    load="number",
    start="address",
    end="address",
    perms="text",
    offset="address",
    name="text",
    why="text",
)
AUXV = columns(
    entry="text", type="number", value="address", text="text", meaning="text"
)
SECTIONS = columns(section="text", loaded="address", size="address", flags="text")
STRINGS = (elf.AT_EXECFN, elf.AT_PLATFORM)
LONGEST = 4096  # of a string, bytes; PATH_MAX of include/uapi/linux/limits.h
STRIPPED = "no sections: the program was stripped of them"
SHF_ALLOC = 2
SHF = ((1, "W"), (2, "A"), (4, "X"), (0x400, "T"))


class Elf(LabCommand):
    """The program beside the areas it became: lab elf [PID] [FILE] [--json]

    The ELF header, the program headers and where each was loaded; for each LOAD the
    areas that the kernel made of it, and why they are not the same; the auxiliary
    vector that told the program of it; the sections. All is read from the guest's
    memory. Sections of a program whose file is not all in memory come from FILE, the
    same program on the host.

    Example:
        (gdb) lab elf 1
        (gdb) lab elf 1 /bin/busybox
    """

    name = "elf"

    def run(self, arguments: list[str]) -> Result:
        pid, name = self.take(arguments, "[PID]", "[FILE]")
        _, mm = mm_of(pid)
        try:
            what = elf.program(mm)
        except Broken as broken:
            raise gdb.GdbError(f"lab elf: {broken}.") from None
        root = task.onlooker_root()
        places = Places(mm, root)
        path = maps.file_of(what.file, root).name
        return Result(
            [
                f"{path}, headers read from {what.source}, loaded at {what.bias:#x}"
                + (" more than its addresses say" if what.bias else ", as it says"),
                _header(what),
                _segments(what),
                _pieces(what, mm, root),
                *_interpreter(what, mm, places),
                _auxv(mm, places),
                *_sections(what, os.path.expanduser(name)),
            ]
        )


def _header(what: elf.Program) -> Table:
    header = what.header
    kind = elf.TYPES.get(header.e_type, "?")
    said = {
        "e_type": f"{kind}: " + _kind(what),
        "e_machine": "EM_X86_64" if header.e_machine == 62 else "another machine",
        "e_entry": f"the first instruction, loaded at {header.e_entry + what.bias:#x}",
        "e_phoff": "where in the file the program headers are",
        "e_shoff": "where in the file the section headers are",
        "e_phnum": "number of program headers",
        "e_shnum": "number of section headers",
    }
    rows = [(name, getattr(header, name), text) for name, text in said.items()]
    return Table("ELF header", HEADER, rows)


def _kind(what: elf.Program) -> str:
    if what.find(elffile.PT_INTERP) is not None:
        how = "needs an interpreter, which loads its libraries"
    else:
        how = "needs no interpreter"
    if what.header.e_type == 3:
        return f"can be loaded anywhere, {how}"
    return f"has its place, {how}"


def _segments(what: elf.Program) -> Table:
    rows = [
        (
            number,
            one.name,
            one.perms,
            one.p_offset,
            one.p_vaddr,
            one.p_vaddr + what.bias if one.p_memsz else None,
            one.p_filesz,
            one.p_memsz,
            one.p_align,
        )
        for number, one in enumerate(what.segments)
    ]
    return Table("program headers", SEGMENTS, rows)


def _pieces(what: elf.Program, mm: int, root: int) -> Table:
    """The areas of each LOAD, which is numbered as in the table of headers."""
    table = Table("what each LOAD became", PIECES)
    areas = []
    try:
        areas.extend(maps.for_each_area(mm, root))
    except Broken as broken:
        table.broken = str(broken)
    numbers = [
        i for i, one in enumerate(what.segments) if one.p_type == elffile.PT_LOAD
    ]
    for piece in elf_areas.pieces(what, areas):
        is_there = piece.area
        table.rows.append(
            (
                numbers[piece.segment],
                piece.start,
                piece.end,
                is_there.perms if is_there else "",
                is_there.offset if is_there else None,
                is_there.name if is_there else "",
                "; ".join(piece.why),
            )
        )
    return table


def _interpreter(what: elf.Program, mm: int, places: Places) -> list[str]:
    segment = what.find(elffile.PT_INTERP)
    if segment is None:
        return []
    try:
        size = min(segment.p_filesz, LONGEST)
        name = filemap.kernel_read(what.file, segment.p_offset, size)
        said = text_of(name.rstrip(b"\0"))
    except Fault:
        said = "(its name is not in memory)"
    base = dict(elf.saved_auxv(mm)).get(elf.AT_BASE, 0)
    found = places.find(base)
    where = f"{places.name(found)} at {base:#x}" if found else "not loaded"
    return [f"interpreter: {said}: {where}"]


def _auxv(mm: int, places: Places) -> Table:
    table = Table("auxiliary vector", AUXV)
    for kind, value in elf.saved_auxv(mm):
        name, meaning = elf.AUXV.get(kind, (f"AT_{kind}", ""))
        table.rows.append((name, kind, value, _text(mm, kind, value, places), meaning))
    if not table.rows:
        table.broken = "it is not written yet: the process is in the middle of an exec"
    return table


def _text(mm: int, kind: int, value: int, places: Places) -> str:
    """What an entry points to."""
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


def _string(mm: int, address: int) -> str:
    """A string of the process, which may end where its memory does."""
    text = b""
    while b"\0" not in text and len(text) < LONGEST:
        step = 64 - (address + len(text)) % 64
        text += mm_.access_process_vm(mm, address + len(text), step)
    return quoted(text_of(text.split(b"\0")[0]), LONGEST)


def _sections(what: elf.Program, name: str) -> list[Table | str]:
    """The sections that are loaded, from the page cache or a file of the host."""
    if name:
        file = _given(what, name)
    else:
        if not what.header.e_shnum:
            return [STRIPPED]
        try:
            data = filemap.kernel_read_all(what.file, hostfiles.LARGEST)
            file = elffile.parse(elffile.Data(data))
        except Fault:
            return [
                "sections: the file is not all in memory; if the host has the same "
                "one, type lab elf PID FILE"
            ]
        except BadElf as odd:
            return [f"sections: they cannot be told: {odd}"]
    if file.no_sections:
        return [f"sections: they cannot be told: {file.no_sections}"]
    if not file.sections:
        return [STRIPPED]
    rows = [
        (
            one.name,
            one.sh_addr + what.bias,
            one.sh_size,
            "".join(c for bit, c in SHF if one.sh_flags & bit),
        )
        for one in file.sections
        if one.sh_flags & SHF_ALLOC and one.sh_size
    ]
    return [Table("sections in memory", SECTIONS, rows)]


def _given(what: elf.Program, name: str) -> elffile.ElfFile:
    """The program's file, as the person has it. Raises gdb.GdbError."""
    try:
        file = elffile.parse(elffile.Data(hostfiles.read(name)))
    except hostfiles.Unfit as why:
        raise gdb.GdbError(f"Cannot read {name}: {why}.") from None
    except BadElf as why:
        raise gdb.GdbError(f"{name} is another program: {why}.") from None
    if not elf.is_same(what, file):
        raise gdb.GdbError(
            f"{name} is another program: its ELF header or program headers differ."
        )
    return file
