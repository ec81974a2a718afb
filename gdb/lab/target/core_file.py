# SPDX-License-Identifier: GPL-2.0-only
"""Core files of a whole guest: what the kernel's kdump, crash and `lab dump` write.

Their layout: include/linux/elfcore.h, fs/proc/vmcore.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from . import elffile
from .elffile import ET_CORE, PT_LOAD, PT_NOTE, BadElf
from .hostfiles import Unfit, opened
from .physical import Block
from .ram_file import RamFile

NT_PRSTATUS, NT_VMCOREINFO = 1, 0
MOST_NOTES = 16 << 20  # bytes; a processor has some 400
MASK = (1 << 64) - 1

# struct elf_prstatus: pr_pid, then struct user_regs_struct (arch/x86/include/asm/user_64.h)
PR_PID = struct.Struct("<32xi76x")
PR_REG = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8"),
    *("rax", "rcx", "rdx", "rsi", "rdi", "orig_rax", "rip", "cs", "eflags"),
    *("rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
REGISTERS = struct.Struct(f"<{len(PR_REG)}Q")
PRSTATUS_SIZE = 336


@dataclass(frozen=True)
class CoreFile:
    """An open core file."""

    ram: RamFile
    registers: tuple[dict[str, int], ...]  # of each processor, by the names in PR_REG


def prstatus(pid: int, registers: dict[str, int]) -> bytes:
    """A struct elf_prstatus; unknown registers have all bits set."""
    values = (registers.get(name, MASK) for name in PR_REG)
    data = PR_PID.pack(pid) + REGISTERS.pack(*values)
    return data.ljust(PRSTATUS_SIZE, b"\0")


def open_core(path: str) -> CoreFile:
    """Open a core file.

    :raises BadElf: the file is no core file, or a damaged one
    :raises Unfit: the file cannot be read
    """
    with opened(path) as file:
        core = elffile.parse(file)
        if core.header.e_type != ET_CORE:
            raise BadElf("it is no core file")
        blocks: list[Block] = []
        registers: list[dict[str, int]] = []
        for segment in core.segments:
            end = segment.p_offset + segment.p_filesz
            if end > file.size:
                raise BadElf("it is cut: a segment ends behind the file's end")
            if segment.p_type == PT_NOTE and segment.p_filesz <= MOST_NOTES:
                for kind, _, body in elffile.notes(
                    file.read(segment.p_offset, segment.p_filesz)
                ):
                    if (
                        kind == NT_PRSTATUS
                        and len(body) >= PR_PID.size + REGISTERS.size
                    ):
                        values = REGISTERS.unpack_from(body, PR_PID.size)
                        registers.append(dict(zip(PR_REG, values)))
            elif segment.p_type == PT_LOAD and segment.p_filesz:
                start, end = segment.p_paddr, segment.p_paddr + segment.p_filesz
                blocks.append(Block(start, end, segment.p_offset))
    if not blocks:
        raise BadElf("it has no memory in it")
    return CoreFile(RamFile(path, blocks, "core file"), tuple(registers))


__all__ = ["BadElf", "CoreFile", "Unfit", "open_core", "prstatus"]
