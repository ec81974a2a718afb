# SPDX-License-Identifier: GPL-2.0-only
"""The program of a process: its ELF headers, and the areas they became.

See fs/binfmt_elf.c. The headers are read where the process has them mapped, else
from the page cache of the file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..linux import filemap, mm as mm_, vma
from ..linux.structs.fs import File
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..target import elffile, kernel
from ..target.cstruct import Ptr
from ..target.elffile import PT_LOAD, BadElf, ElfFile, Header, Segment
from ..target.memory import PAGE_SIZE, Broken, Fault

TYPES = {
    **{elffile.ET_EXEC: "ET_EXEC", elffile.ET_DYN: "ET_DYN"},
    **{elffile.ET_REL: "ET_REL", elffile.ET_CORE: "ET_CORE"},
}

PLATFORM = b"x86_64\0"  # ELF_PLATFORM, arch/x86/include/asm/elf.h
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


@dataclass(frozen=True)
class Program:
    """A program and where it was loaded."""

    file: Ptr[File]
    header: Header
    segments: tuple[Segment, ...]
    bias: int  # what was added to each p_vaddr
    source: str  # where the headers were read

    @property
    def loads(self) -> list[Segment]:
        return [segment for segment in self.segments if segment.p_type == PT_LOAD]

    def find(self, kind: int) -> Segment | None:
        """The first program header of a type, None if there is none."""
        found = (segment for segment in self.segments if segment.p_type == kind)
        return next(found, None)


def saved_auxv(mm: Ptr[MmStruct]) -> list[tuple[int, int]]:
    """The auxiliary vector with its AT_NULL, as /proc/PID/auxv has it.

    Empty in the middle of an exec. Raises memory.Fault.
    """
    raw = MmStruct(kernel.memory(), mm).saved_auxv
    pairs: list[tuple[int, int]] = []
    for kind, value in struct.iter_unpack("<2Q", raw):
        pairs.append((kind, value))
        if not kind:
            break
    return pairs if len(pairs) > 1 else []


def exe_file(mm: Ptr[MmStruct]) -> Ptr[File]:
    """The file of the program, 0 if there is none."""
    return MmStruct(kernel.memory(), mm).exe_file


def program(mm: Ptr[MmStruct]) -> Program:
    """The program of an address space.

    :raises Broken: there is no program, or none that is ELF of this kind of machine
    :raises Fault: its headers are nowhere in memory
    """
    file = exe_file(mm)
    if not file:
        raise Broken("this process has no program")
    raw, source = _of_file(mm, file, 0, elffile.EHDR.size)
    try:
        header = elffile.header(raw)
    except BadElf as odd:
        raise Broken(f"this process's program cannot be read: {odd}") from None
    raw, _ = _of_file(mm, file, header.e_phoff, header.phdrs_size)
    if len(raw) < header.phdrs_size:
        raise Broken("the program headers end behind the end of the program")
    segments = elffile.segments(raw)
    entry = dict(saved_auxv(mm)).get(AT_ENTRY)
    bias = _mapped_at(mm, file, segments) if entry is None else entry - header.e_entry
    return Program(file, header, segments, bias, source)


def _mapped_at(
    mm: Ptr[MmStruct], file: Ptr[File], segments: tuple[Segment, ...]
) -> int:
    """The bias in the middle of an exec, from the first area of the file."""
    loads = (segment for segment in segments if segment.p_type == PT_LOAD)
    first = next(loads, None)
    area = _first_area(mm, file, first.p_offset) if first else None
    return area.vm_start - page_down(first.p_vaddr) if first and area else 0


def _first_area(mm: Ptr[MmStruct], file: Ptr[File], offset: int) -> VmAreaStruct | None:
    """The first area that maps a file from an offset on, None if there is none."""
    guest = kernel.memory()
    inode = File(guest, file).f_inode
    for area in vma.for_each_vma(mm):
        if area.vm_file and area.vm_pgoff == offset // PAGE_SIZE:
            if File(guest, area.vm_file).f_inode == inode:
                return area
    return None


def is_same(what: Program, other: ElfFile) -> bool:
    """Is this the program's file? Sections may have been stripped from either."""
    same = ("e_ident", "e_type", "e_machine", "e_entry", "e_phnum")
    return other.segments == what.segments and all(
        getattr(other.header, name) == getattr(what.header, name) for name in same
    )


def _of_file(
    mm: Ptr[MmStruct], file: Ptr[File], offset: int, size: int
) -> tuple[bytes, str]:
    """Bytes from the first pages of the program, and where they were read.

    There are fewer at the end of the file. Raises Fault.
    """
    try:
        area = _first_area(mm, file, 0)
        if area and offset + size <= area.vm_end - area.vm_start:
            raw = mm_.access_process_vm(mm, area.vm_start + offset, size)
            return raw, f"memory at {area.vm_start:#x}"
    except (Fault, Broken):
        pass  # not read by the process yet, or the areas cannot be followed
    return filemap.kernel_read(file, offset, size), "the page cache"


def page_down(address: int) -> int:
    """ELF_PAGESTART(): where the page of an address starts."""
    return address & -PAGE_SIZE


def page_up(address: int) -> int:
    """ELF_PAGEALIGN(): where the first page at or above an address starts."""
    return -(-address // PAGE_SIZE) * PAGE_SIZE


def total_mapping_size(loads: list[Segment]) -> int:
    """How much address space the LOADs of a file span, in bytes."""
    start = min((page_down(load.p_vaddr) for load in loads), default=0)
    return max((load.p_vaddr + load.p_memsz for load in loads), default=0) - start


def maximum_alignment(loads: list[Segment]) -> int:
    """How a position-independent program is aligned, in bytes: a page or more."""
    wanted = (load.p_align for load in loads)
    return max((PAGE_SIZE, *(align for align in wanted if align.bit_count() == 1)))


def mapped_loads(mm: Ptr[MmStruct], address: int) -> list[Segment]:
    """The LOADs of an ELF file whose start is mapped at an address.

    :raises Broken: it is no ELF file of this kind of machine
    :raises Fault: its headers are not in memory
    """
    try:
        header = elffile.header(mm_.access_process_vm(mm, address, elffile.EHDR.size))
    except BadElf as odd:
        raise Broken(f"the file mapped at {address:#x} cannot be read: {odd}") from None
    raw = mm_.access_process_vm(mm, address + header.e_phoff, header.phdrs_size)
    return [load for load in elffile.segments(raw) if load.p_type == PT_LOAD]
