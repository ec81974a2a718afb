# SPDX-License-Identifier: GPL-2.0-only
"""What an exec is made of: struct linux_binprm, strings, files and ELF headers.

See include/linux/binfmts.h, fs/exec.c and fs/binfmt_elf.c.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ...linux import filemap, maps, mm as mm_, pgtable, task, vma
from ...linux.path import PATH_MAX
from ...linux.structs.exec import LinuxBinprm
from ...linux.structs.fs import File
from ...linux.structs.mm_types import MmStruct
from ...printable import quoted, text_of
from ...programs import elf
from ...target import elffile, kernel, members
from ...target.cstruct import Ptr
from ...target.elffile import EM_X86_64, ET_DYN, ET_EXEC, Header, Segment
from ...target.memory import PAGE_SIZE, Broken, Fault

SCRIPT = b"#!"
POINTER = 8  # bytes
LONGEST = 32  # characters of such a string
SHOWN = 6  # strings of a list in a sentence
MOST_STRINGS, MOST_BYTES = 256, 64 * 1024  # that are read of argv or envp


class Opened(NamedTuple):
    """A file that was opened to be executed."""

    path: str
    inode: int
    mode: int
    size: int
    filesystem: str


class Program(NamedTuple):
    """An ELF file that is going to be loaded."""

    type: str  # ET_EXEC or ET_DYN
    entry: int
    loads: tuple[Segment, ...]  # its PT_LOAD; () if not in memory
    interpreter: str  # PT_INTERP, "" without one


def read(bprm: Ptr[LinuxBinprm]) -> LinuxBinprm:
    """Read a struct linux_binprm. Raises Fault."""
    return LinuxBinprm(kernel.memory(), bprm)


def point_of_no_return(bprm: Ptr[LinuxBinprm]) -> bool:
    """Is every error fatal from now on? See begin_new_exec() since v5.8.

    "exec: Set the point of no return sooner" (v5.8) moved it there. Raises Fault.
    """
    place = members.place_of(LinuxBinprm.c_name, "point_of_no_return")
    return place is None or bool(members.read(place, bprm))


def text(address: int) -> str:
    """A string of the kernel's. Raises Fault."""
    return text_of(kernel.memory().read_string(address))


def opened(file: Ptr[File]) -> Opened:
    """What is known about an open file. Raises Fault."""
    found = maps.file_of(file, task.onlooker_root())
    size = filemap.file_size(file)
    return Opened(found.name, found.inode, found.mode, size, found.filesystem)


def not_taken(start: bytes) -> str:
    """Why load_elf_binary() does not take an ELF file, "" if it may do so.

    Its checks and those of load_elf_phdrs(); none looks at EI_CLASS.

    :param start: the file's first bytes, bprm->buf
    """
    header = Header(*elffile.EHDR.unpack_from(start))
    if header.e_type not in (ET_EXEC, ET_DYN):
        kind = elf.TYPES.get(header.e_type, f"e_type {header.e_type}")
        return f"{kind} is neither ET_EXEC nor ET_DYN"
    if header.e_machine != EM_X86_64:
        bits = "32-bit " * (header.e_ident[4] != elffile.ELFCLASS64)
        return f"{bits}ELF for e_machine {header.e_machine}, not for EM_X86_64"
    if header.e_phentsize != elffile.PHDR.size:
        size = header.e_phentsize
        return f"its program headers have {size} bytes, not {elffile.PHDR.size}"
    return "" if header.e_phnum else "it has no program headers"


def script_line(start: bytes) -> str | None:
    """What a script asks for after its #!, None if load_script() does not take it.

    See fs/binfmt_script.c: there must be a name, and its end must be seen.

    :param start: the file's first bytes, bprm->buf
    """
    line, end, _ = start[len(SCRIPT) :].partition(b"\n")
    asked = line.lstrip(b" \t")
    if not asked or not (end or re.search(rb"[ \t\0]", asked)):
        return None
    return text_of(asked.split(b"\0")[0].rstrip(b" \t"))


def program(file: Ptr[File], start: bytes) -> Program:
    """The headers of an ELF file, as far as they are in memory.

    :param start: the file's first bytes, bprm->buf
    """
    header = Header(*elffile.EHDR.unpack_from(start))
    interpreter, loads = "", []
    try:
        table = filemap.kernel_read(file, header.e_phoff, header.phdrs_size)
        for segment in elffile.segments(table):
            if segment.p_type == elffile.PT_LOAD:
                loads.append(segment)
            if segment.p_type == elffile.PT_INTERP and not interpreter:
                size = min(segment.p_filesz, PATH_MAX)
                name = filemap.kernel_read(file, segment.p_offset, size)
                interpreter = text_of(name.split(b"\0")[0])
    except (Broken, Fault):
        pass  # what is in memory is enough
    kind = elf.TYPES.get(header.e_type, str(header.e_type))
    return Program(kind, header.e_entry, tuple(loads), interpreter)


def program_memory(mm: Ptr[MmStruct], address: int, size: int) -> bytes:
    """Read a program's memory, within a page.

    Of a file's page that the program never touched it reads what it would get:
    that of the page cache. Raises Fault, Broken.
    """
    if address >= MmStruct(kernel.memory(), mm).task_size:
        raise Fault(address, "it is not in user space")
    try:
        return mm_.access_process_vm(mm, address, size)
    except Fault:
        entries = pgtable.walk(mm_.pgd_of(mm), address).entries
        area = vma.find_vma(mm, address)
        touched = not entries or bool(entries[-1].value)
        if touched or area is None or not area.vm_file or address < area.vm_start:
            raise
        offset = area.vm_pgoff * PAGE_SIZE + address - area.vm_start
        return filemap.kernel_read(area.vm_file, offset, size).ljust(size, b"\0")


def user_string(mm: Ptr[MmStruct], address: int) -> str | None:
    """A string of a program's, None if not all of it is present in memory."""
    found = b""
    try:
        while b"\0" not in found and len(found) < MOST_BYTES:
            step = 64 - (address + len(found)) % 64
            found += program_memory(mm, address + len(found), step)
    except (Fault, Broken):
        return None
    return text_of(found.split(b"\0")[0])


def user_strings(mm: Ptr[MmStruct], address: int) -> list[str | None] | None:
    """An array of strings with a NULL at its end: argv, envp.

    None if the array is not present in memory, or far too long.
    """
    found: list[str | None] = []
    try:
        while address and len(found) < MOST_STRINGS:
            pointer = int.from_bytes(program_memory(mm, address, POINTER), "little")
            if not pointer:
                return found
            found.append(user_string(mm, pointer))
            address += POINTER
    except (Fault, Broken):
        return None
    return None if address else found


def copied(mm: Ptr[MmStruct], start: int, end: int) -> list[str]:
    """Strings that stand one behind the other on a new stack.

    Only so many as fit into MOST_BYTES. Raises Fault, Broken.
    """
    if end < start:
        raise Broken(f"strings from {start:#x} on end at {end:#x}, before they begin")
    raw = mm_.access_process_vm(mm, start, min(end - start, MOST_BYTES))
    whole = raw[: raw.rfind(b"\0") + 1]
    return [text_of(string) for string in whole.split(b"\0")[:-1]]


def first(mm: Ptr[MmStruct], start: int, end: int) -> str:
    """The first of such strings. Raises Fault, Broken."""
    for string in copied(mm, start, end):
        return string
    raise Broken(f"no string ends between {start:#x} and {end:#x}")


def list_text(strings: list[str | None] | None, count: int = 0) -> str:
    """An array of strings as C has it, the first of many.

    count: how many there are, if not all of them were read.
    """
    if strings is None:
        return "(not in memory)"
    shown = [
        "(not in memory)" if string is None else quoted(string, LONGEST)
        for string in strings
    ]
    shown = shown[:SHOWN]
    left = max(count, len(strings)) - len(shown)
    return f"[{', '.join(shown + [f'and {left:,} more'] * (left > 0))}]"
