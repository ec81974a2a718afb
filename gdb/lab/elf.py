# SPDX-License-Identifier: GPL-2.0-only
"""The program of a process: its ELF headers, and the areas they became.

See fs/binfmt_elf.c. The headers are read where the process has them mapped, else
from the page cache of the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from . import filemap, kernel, layout, mm as mm_, vma
from .memory import PAGE_SIZE, Broken, Fault

MM = layout.Form("struct mm_struct", "exe_file", "saved_auxv")
INODE_OF = layout.Form("struct file", "f_inode")

MAGIC = b"\x7fELF"
ELFCLASS64 = 2
TYPES = {2: "ET_EXEC", 3: "ET_DYN", 1: "ET_REL", 4: "ET_CORE"}
PT_LOAD, PT_INTERP = 1, 3
PT_GNU_RELRO = 0x6474_E552
SEGMENTS = {
    **{0: "NULL", PT_LOAD: "LOAD", 2: "DYNAMIC", PT_INTERP: "INTERP", 4: "NOTE"},
    **{5: "SHLIB", 6: "PHDR", 7: "TLS", 0x6474_E550: "GNU_EH_FRAME"},
    **{0x6474_E551: "GNU_STACK", PT_GNU_RELRO: "GNU_RELRO"},
    **{0x6474_E553: "GNU_PROPERTY"},
}
PF_X, PF_W, PF_R = 1, 2, 4
MAX_HEADERS = 64 * 1024  # ELF_MIN_ALIGN * 16: what load_elf_phdrs() takes at most

AT_PHDR, AT_BASE, AT_ENTRY = 3, 7, 9
AT_PLATFORM, AT_RANDOM, AT_EXECFN, AT_SYSINFO_EHDR = 15, 25, 31, 33
# include/uapi/linux/auxvec.h and arch/x86/include/uapi/asm/auxvec.h
AUXV = {
    0: ("AT_NULL", "the end"),
    2: ("AT_EXECFD", "descriptor of the program"),
    AT_PHDR: ("AT_PHDR", "where the program headers are"),
    4: ("AT_PHENT", "size of a program header"),
    5: ("AT_PHNUM", "number of program headers"),
    6: ("AT_PAGESZ", "size of a page"),
    AT_BASE: ("AT_BASE", "where the interpreter is, 0 without one"),
    8: ("AT_FLAGS", "flags"),
    AT_ENTRY: ("AT_ENTRY", "where the program starts"),
    11: ("AT_UID", "real user id"),
    12: ("AT_EUID", "effective user id"),
    13: ("AT_GID", "real group id"),
    14: ("AT_EGID", "effective group id"),
    AT_PLATFORM: ("AT_PLATFORM", "name of the processor"),
    16: ("AT_HWCAP", "what the processor can, from CPUID"),
    17: ("AT_CLKTCK", "ticks a second of times()"),
    23: ("AT_SECURE", "1 after a set-user-id exec"),
    AT_RANDOM: ("AT_RANDOM", "16 random bytes"),
    26: ("AT_HWCAP2", "what more the processor can"),
    AT_EXECFN: ("AT_EXECFN", "the name given to execve()"),
    AT_SYSINFO_EHDR: ("AT_SYSINFO_EHDR", "where the vdso is"),
    51: ("AT_MINSIGSTKSZ", "least stack for a signal"),
}

_EHDR = struct.Struct("<16s2HI3QI6H")
_PHDR = struct.Struct("<2I6Q")


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
        """As the first three letters of /proc/PID/maps."""
        wanted = ((PF_R, "r"), (PF_W, "w"), (PF_X, "x"))
        return "".join(c if self.p_flags & flag else "-" for flag, c in wanted)


@dataclass(frozen=True)
class Program:
    """A program and where it was loaded."""

    file: int  # struct file *
    header: Header
    segments: tuple[Segment, ...]
    bias: int  # what was added to each p_vaddr
    source: str  # where the headers were read

    @property
    def loads(self) -> list[Segment]:
        return [one for one in self.segments if one.p_type == PT_LOAD]

    def find(self, kind: int) -> Segment | None:
        """The first program header of a type."""
        return next((one for one in self.segments if one.p_type == kind), None)


def saved_auxv(mm: int) -> list[tuple[int, int]]:
    """The auxiliary vector, as /proc/PID/auxv has it, AT_NULL with it.

    Empty in the middle of an exec. Parameter: struct mm_struct *. Raises
    memory.Fault.
    """
    raw = MM(kernel.memory(), mm).saved_auxv
    pairs = []
    for pair in struct.iter_unpack("<2Q", raw):
        pairs.append(pair)
        if not pair[0]:
            break
    return pairs if len(pairs) > 1 else []


def exe_file(mm: int) -> int:
    """The struct file * of the program, 0 if there is none."""
    return MM(kernel.memory(), mm).exe_file


def program(mm: int) -> Program:
    """The program of an address space. Parameter: struct mm_struct *.

    Raises Broken if there is no ELF program, or one of another kind than the
    kernel's; memory.Fault where its headers are nowhere in memory.
    """
    file = exe_file(mm)
    if not file:
        raise Broken("this process has no program")
    raw, source = _file_start(mm, file, _EHDR.size)
    if raw[:4] != MAGIC or raw[4] != ELFCLASS64:
        raise Broken("this process's program is no 64-bit ELF file")
    header = Header(*_EHDR.unpack(raw))
    size = header.e_phnum * _PHDR.size
    if header.e_phentsize != _PHDR.size or size > MAX_HEADERS:
        raise Broken("the program headers are of no size that the kernel takes")
    raw, _ = _file_start(mm, file, header.e_phoff + size)
    segments = tuple(map(Segment._make, _PHDR.iter_unpack(raw[header.e_phoff :])))
    entry = dict(saved_auxv(mm)).get(AT_ENTRY)
    bias = _mapped_at(mm, file, segments) if entry is None else entry - header.e_entry
    return Program(file, header, segments, bias, source)


def _mapped_at(mm: int, file: int, segments: tuple[Segment, ...]) -> int:
    """The bias in the middle of an exec, from the first area of the file."""
    first = next((one for one in segments if one.p_type == PT_LOAD), None)
    start = _first_area(mm, file, first.p_offset) if first else 0
    return start - page_down(first.p_vaddr) if first and start else 0


def _first_area(mm: int, file: int, offset: int) -> int:
    """Where an address space has a file mapped from an offset on; 0 if nowhere."""
    guest = kernel.memory()
    inode = INODE_OF(guest, file).f_inode
    for _, area in vma.for_each_vma(mm):
        if area.vm_file and area.vm_pgoff == offset // PAGE_SIZE:
            if INODE_OF(guest, area.vm_file).f_inode == inode:
                return area.vm_start
    return 0


def is_same(what: Program, data: bytes) -> bool:
    """Is this the file of a program? Sections may have been stripped from either."""
    try:
        header = Header(*_EHDR.unpack_from(data))
        size = header.e_phnum * _PHDR.size
        raw = data[header.e_phoff : header.e_phoff + size]
        segments = tuple(map(Segment._make, _PHDR.iter_unpack(raw)))
    except struct.error:
        return False
    same = ("e_ident", "e_type", "e_machine", "e_entry", "e_phnum")
    return segments == what.segments and all(
        getattr(header, name) == getattr(what.header, name) for name in same
    )


def _file_start(mm: int, file: int, size: int) -> tuple[bytes, str]:
    """The first bytes of the program, and from where they are."""
    try:
        start = _first_area(mm, file, 0)
        if start:
            raw = mm_.access_process_vm(mm, start, size)
            return raw, f"memory at {start:#x}"
    except (Fault, Broken):
        pass  # not read by the process yet, or the areas cannot be followed
    return filemap.kernel_read(file, 0, size), "the page cache"


def page_down(address: int) -> int:
    """ELF_PAGESTART(): where the page of an address starts."""
    return address & -PAGE_SIZE


def page_up(address: int) -> int:
    """ELF_PAGEALIGN(): where the first page at or above an address starts."""
    return -(-address // PAGE_SIZE) * PAGE_SIZE
