# SPDX-License-Identifier: GPL-2.0-only
"""ELF files, in which nothing is trusted: include/uapi/linux/elf.h.

parse() reads the headers. Every offset, size and number in them is compared with the file
before it is used, so that the file's size bounds the work, and damage of any kind raises
BadElf. Plain Python: gdb is not needed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator, NamedTuple, Protocol

from ..printable import text_of

MAGIC = b"\x7fELF"
ELFCLASS64, ELFDATA2LSB = 2, 1
ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
EM_X86_64 = 62  # include/uapi/linux/elf-em.h
PT_LOAD, PT_INTERP, PT_NOTE = 1, 3, 4
PT_GNU_RELRO = 0x6474_E552
SEGMENTS = {
    **{0: "NULL", PT_LOAD: "LOAD", 2: "DYNAMIC", PT_INTERP: "INTERP", PT_NOTE: "NOTE"},
    **{5: "SHLIB", 6: "PHDR", 7: "TLS", 0x6474_E550: "GNU_EH_FRAME"},
    **{0x6474_E551: "GNU_STACK", PT_GNU_RELRO: "GNU_RELRO"},
    **{0x6474_E553: "GNU_PROPERTY"},
}
PF_X, PF_W, PF_R = 1, 2, 4
SHT_NOTE, SHT_NOBITS = 7, 8
SHF_ALLOC = 2
SHN_UNDEF = 0
NT_GNU_BUILD_ID = 3
MAX_HEADERS = 64 * 1024  # ELF_MIN_ALIGN * 16: what load_elf_phdrs() takes at most
MAX_NOTES = 64 * 1024  # bytes of all notes in a file; a program has some hundred
MAX_NAME = 256  # bytes of a section's name
MAX_NAMES = 0xFFFF * MAX_NAME  # of all sections that a header can count
PAGE_MASK = ~0xFFF

EHDR = struct.Struct("<16s2HI3QI6H")
PHDR = struct.Struct("<2I6Q")
SHDR = struct.Struct("<2I4Q2I2Q")
NOTE = struct.Struct("<III")
SYM = struct.Struct("<IBBHQQ")  # Elf64_Sym


class BadElf(Exception):
    """The file is no ELF file, or damaged: says why, as part of a sentence."""


class Source(Protocol):
    """Bytes to read from: a file of this machine, or of the guest."""

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Bytes inside the file; fewer come back if it has just been truncated."""


class Data:
    """Bytes in memory as a Source."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]


class Header(NamedTuple):
    """struct elf64_hdr (include/uapi/linux/elf.h)."""

    e_ident: bytes
    e_type: int
    e_machine: int
    e_version: int
    e_entry: int
    e_phoff: int
    e_shoff: int
    e_flags: int
    e_ehsize: int
    e_phentsize: int
    e_phnum: int
    e_shentsize: int
    e_shnum: int
    e_shstrndx: int

    @property
    def phdrs_size(self) -> int:
        """The size of all program headers in bytes."""
        return self.e_phnum * PHDR.size


class Segment(NamedTuple):
    """struct elf64_phdr."""

    p_type: int
    p_flags: int
    p_offset: int
    p_vaddr: int
    p_paddr: int
    p_filesz: int
    p_memsz: int
    p_align: int

    @property
    def name(self) -> str:
        return SEGMENTS.get(self.p_type, f"{self.p_type:#x}")

    @property
    def perms(self) -> str:
        """The permissions as /proc/PID/maps begins them: r-x."""
        wanted = ((PF_R, "r"), (PF_W, "w"), (PF_X, "x"))
        return "".join(c if self.p_flags & flag else "-" for flag, c in wanted)


class Section(NamedTuple):
    """struct elf64_shdr, with the name that sh_name stands for."""

    name: str
    sh_type: int
    sh_flags: int
    sh_addr: int
    sh_offset: int
    sh_size: int
    sh_link: int


def header(raw: bytes) -> Header:
    """The ELF header in a file's first bytes. Raises BadElf."""
    if len(raw) < EHDR.size or raw[:4] != MAGIC:
        raise BadElf("it is no ELF file")
    if raw[4] != ELFCLASS64 or raw[5] != ELFDATA2LSB:
        raise BadElf("it is no 64-bit ELF file of this kind of machine")
    found = Header(*EHDR.unpack_from(raw))
    if found.e_phnum and found.e_phentsize != PHDR.size:
        raise BadElf(f"its program headers have {found.e_phentsize} bytes each")
    if found.phdrs_size > MAX_HEADERS:
        raise BadElf(f"it has {found.e_phnum} program headers, more than Linux takes")
    return found


def segments(raw: bytes) -> tuple[Segment, ...]:
    """The program headers, from their bytes."""
    whole = len(raw) - len(raw) % PHDR.size
    return tuple(map(Segment._make, PHDR.iter_unpack(raw[:whole])))


class Sample(NamedTuple):
    """Bytes of a file, with their link address and their offset in the file."""

    address: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class ElfFile:
    """What the headers of a file say.

    Section headers are for debuggers only; the kernel ignores them. So if they are
    damaged, there are no sections, and no_sections says why.
    """

    source: Source
    header: Header
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    no_sections: str

    def section(self, name: str) -> Section | None:
        """The first section of that name, None if there is none."""
        named = (section for section in self.sections if section.name == name)
        return next(named, None)

    def data(self, section: Section) -> bytes:
        """A section's bytes. Raises BadElf if the file does not have all of them."""
        if section.sh_type == SHT_NOBITS:
            return b""
        return _read(self.source, section.sh_offset, section.sh_size, section.name)

    def around(self, address: int) -> Segment | None:
        """The segment that loads an address from the file, None if there is none."""
        for segment in self.segments:
            inside = address - segment.p_vaddr
            if segment.p_type == PT_LOAD and 0 <= inside < segment.p_filesz:
                return segment
        return None

    def contents(self, address: int, size: int) -> bytes:
        """Bytes at a link address, as many as the file has there."""
        segment = self.around(address)
        if segment is None:
            return b""
        start = segment.p_offset + address - segment.p_vaddr
        end = min(start + size, segment.p_offset + segment.p_filesz, self.source.size)
        return self.source.read(start, end - start) if start < end else b""

    def page(self, address: int) -> Sample | None:
        """What the file has of the page around an address, None if it has nothing."""
        segment = self.around(address)
        if segment is None:
            return None
        start = max(address & PAGE_MASK, segment.p_vaddr)
        data = self.contents(start, (address | ~PAGE_MASK) + 1 - start)
        return Sample(start, segment.p_offset + start - segment.p_vaddr, data)

    def program_headers(self) -> Sample | None:
        """The program headers as they are in memory, None if they are not loaded."""
        address = self.address_of(self.header.e_phoff)
        if address is None:
            return None
        raw = b"".join(PHDR.pack(*segment) for segment in self.segments)
        return Sample(address, self.header.e_phoff, raw)

    def address_of(self, offset: int) -> int | None:
        """The link address of an offset in the file, None if its page is not loaded."""
        for segment in self.segments:
            start = segment.p_offset & PAGE_MASK
            end = segment.p_offset + segment.p_filesz
            if segment.p_type == PT_LOAD and start <= offset < end:
                return (segment.p_vaddr & PAGE_MASK) + offset - start
        return None

    def build_id(self) -> Sample | None:
        """The build id that the linker put into a note, None if there is none.

        It differs whenever the code does. Notes of segments come first, then those of
        sections.
        """
        places = [
            (segment.p_offset, segment.p_vaddr, segment.p_filesz)
            for segment in self.segments
            if segment.p_type == PT_NOTE
        ]
        places += [
            (section.sh_offset, section.sh_addr, section.sh_size)
            for section in self.sections
            if section.sh_type == SHT_NOTE
        ]
        left = MAX_NOTES
        for offset, address, size in places:
            if size > left or offset + size > self.source.size:
                continue
            left -= size
            for kind, at, body in notes(self.source.read(offset, size)):
                if kind == NT_GNU_BUILD_ID and body:
                    return Sample(address + at, offset + at, body)
        return None


def parse(source: Source) -> ElfFile:
    """Read the headers of an ELF file. Raises BadElf."""
    head = header(source.read(0, min(EHDR.size, source.size)))
    raw = _read(source, head.e_phoff, head.phdrs_size, "program headers")
    try:
        return ElfFile(source, head, segments(raw), _sections(source, head), "")
    except BadElf as odd:
        return ElfFile(source, head, segments(raw), (), str(odd))


def _read(
    source: Source, offset: int, size: int, what: str, most: int | None = None
) -> bytes:
    """Bytes that the file must have.

    :param what: what they are, for the sentence
    :param most: how many there may be; None if that does not matter
    :raises BadElf: the file ends before they do, or there are too many
    """
    if offset + size > source.size:
        raise BadElf(f"its {what} end behind the file's end")
    if most is not None and size > most:
        raise BadElf(f"its {what} have {size} bytes")
    data = source.read(offset, size)
    if len(data) != size:
        raise BadElf(f"its {what} end behind the file's end")
    return data


def _sections(source: Source, head: Header) -> tuple[Section, ...]:
    """All sections with their names. Raises BadElf."""
    if not head.e_shnum:
        return ()
    if head.e_shentsize != SHDR.size:
        raise BadElf(f"its section headers have {head.e_shentsize} bytes each")
    raw = _read(source, head.e_shoff, head.e_shnum * SHDR.size, "section headers")
    rows = list(SHDR.iter_unpack(raw))
    names = b""
    if head.e_shstrndx:
        if head.e_shstrndx >= len(rows):
            raise BadElf("its section headers name no section that has their names")
        _, kind, _, _, offset, size, *_ = rows[head.e_shstrndx]
        size = 0 if kind == SHT_NOBITS else size
        names = _read(source, offset, size, "sections' names", MAX_NAMES)
    return tuple(
        Section(_name(names, name), kind, flags, address, offset, size, link)
        for name, kind, flags, address, offset, size, link, *_ in rows
    )


def _name(names: bytes, place: int) -> str:
    """A string of a string table, "" outside of it."""
    text = names[place : place + MAX_NAME].split(b"\0", 1)[0]
    return text_of(text)


def notes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Each note in a segment or section: its type, where its body starts, and the body."""
    at = 0
    while at + NOTE.size <= len(data):
        name, size, kind = NOTE.unpack_from(data, at)
        body = at + NOTE.size + (name + 3 & ~3)
        yield kind, body, data[body : body + size]
        at = body + (size + 3 & ~3)
