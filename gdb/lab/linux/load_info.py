# SPDX-License-Identifier: GPL-2.0-only
"""A module that is being loaded: struct load_info (kernel/module/internal.h).

The kernel has the whole file in its memory, from before load_module() until free_copy().
It writes into that copy where each section goes, and what each symbol is.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any, Iterator, NamedTuple

from ..printable import text_of
from ..target import kernel
from ..target.cstruct import Ptr
from ..target.elffile import (
    EHDR,
    MAX_NAME,
    SHDR,
    SHN_UNDEF,
    SYM,
    BadElf,
    Data,
    ElfFile,
    header,
    parse,
)
from ..target.memory import Broken
from .module import MOST_SYMBOLS
from .structs.lib import LoadInfo

STB_WEAK = 2
MOST_FILE = 256 << 20  # bytes; the largest modules have some MiB
MOST_COMPARED = 1 << 17  # relocations of a section
RELA = struct.Struct("<QQq")  # Elf64_Rela
# arch/x86/include/asm/elf.h: name, bytes, and whether it counts from its own place
KINDS = {
    0: ("NONE", 0, False),
    1: ("64", 8, False),
    2: ("PC32", 4, True),
    4: ("PLT32", 4, True),
    10: ("32", 4, False),
    11: ("32S", 4, False),
    24: ("PC64", 8, True),
}


class FileSection(NamedTuple):
    """A section header as the kernel has changed it."""

    name: str
    type: int
    flags: int
    address: int  # where it is now
    offset: int  # in the file
    size: int
    link: int
    info: int  # of relocations: the number of the section they are for


class Undefined(NamedTuple):
    """A symbol that a module needs from elsewhere."""

    name: str
    value: int  # 0 while it is not found
    is_weak: bool


class Relocations(NamedTuple):
    """The relocations of one section."""

    section: str
    total: int
    by_kind: dict[str, int]  # how many R_X86_64_..., among the first MOST_COMPARED
    wrong: int  # places that do not have what the relocation says


def file_of(info: LoadInfo) -> ElfFile:
    """The file as it came. Raises BadElf, memory.Fault."""
    if info.len > MOST_FILE:
        raise BadElf(f"it has {info.len} bytes")
    return parse(Data(kernel.memory().read(info.hdr, info.len)))


def modinfo(file: ElfFile) -> dict[str, str]:
    """What a module says of itself, by its tags: get_modinfo(). Raises BadElf."""
    section = file.section(".modinfo")
    found: dict[str, str] = {}
    for entry in file.data(section).split(b"\0") if section else ():
        tag, equals, value = entry.partition(b"=")
        if equals:
            found.setdefault(text_of(tag), text_of(value))
    return found


def sections(info: LoadInfo) -> list[FileSection]:
    """All sections, from when the kernel has found them. Raises Broken, memory.Fault."""
    guest = kernel.memory()
    try:
        count = header(guest.read(info.hdr, EHDR.size)).e_shnum
    except BadElf as odd:
        raise Broken(f"the file of a module is damaged: {odd}") from None
    raw = guest.read(info.sechdrs, count * SHDR.size)
    return [
        FileSection(
            name=text_of(guest.read_string(info.secstrings + name, MAX_NAME)),
            type=kind,
            flags=flags,
            address=address,
            offset=offset,
            size=size,
            link=link,
            info=own,
        )
        for name, kind, flags, address, offset, size, link, own, *_ in SHDR.iter_unpack(
            raw
        )
    ]


def undefined(info: LoadInfo, known: list[FileSection]) -> Iterator[Undefined]:
    """What the module needs from elsewhere: see simplify_symbols(). Raises Broken, Fault.

    :param known: sections()
    """
    table = _symbol_table(info, known)
    link = known[info.sym].link
    if link >= len(known) or known[link].size > info.len:
        raise Broken("the symbols of a module have no names")
    strings = kernel.memory().read(info.hdr + known[link].offset, known[link].size)
    for name, how, _, section, value, _ in table:
        if section == SHN_UNDEF and name:
            text = text_of(strings[name : name + MAX_NAME].split(b"\0", 1)[0])
            yield Undefined(text, value, how >> 4 == STB_WEAK)


def _symbol_table(info: LoadInfo, known: list[FileSection]) -> list[tuple[Any, ...]]:
    """The symbols with their values until now, wherever they are. Raises Broken, Fault."""
    if info.sym >= len(known):
        raise Broken(f"a module of {len(known)} sections has its symbols in {info.sym}")
    table = known[info.sym]
    if table.size > MOST_SYMBOLS * SYM.size:
        raise Broken(f"a module with {table.size // SYM.size} symbols")
    size = table.size - table.size % SYM.size
    return list(SYM.iter_unpack(kernel.memory().read(table.address, size)))


def relocations(info: LoadInfo, known: list[FileSection], number: int) -> Relocations:
    """What apply_relocate_add() has done with a section. Raises Broken, memory.Fault.

    :param known: sections()
    :param number: of the section that has the relocations
    """
    guest = kernel.memory()
    own = known[number] if number < len(known) else None
    if own is None or own.info >= len(known):
        raise Broken(f"section {number} of a module has relocations for no section")
    target, symbols = known[own.info], _symbol_table(info, known)
    if target.size > MOST_FILE:
        raise Broken(f"a section of a module with {target.size} bytes")
    memory = guest.read(target.address, target.size)
    by_kind, wrong = Counter[str](), 0
    total = own.size // RELA.size
    raw = guest.read(own.address, min(total, MOST_COMPARED) * RELA.size)
    for place, what, addend in RELA.iter_unpack(raw):
        symbol, kind = what >> 32, what & 0xFFFF_FFFF
        name, size, is_relative = KINDS.get(kind, (str(kind), 0, False))
        by_kind[f"R_X86_64_{name}"] += 1
        if symbol >= len(symbols) or place + size > len(memory):
            wrong += 1
            continue
        value = symbols[symbol][4] + addend
        value -= (target.address + place) * is_relative
        mask = (1 << 8 * size) - 1
        there = int.from_bytes(memory[place : place + size], "little")
        wrong += value & mask != there
    return Relocations(target.name, total, dict(by_kind), wrong)


def load_info(place: Ptr[LoadInfo]) -> LoadInfo:
    """Read one."""
    return LoadInfo(kernel.memory(), place)
