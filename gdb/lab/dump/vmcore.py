# SPDX-License-Identifier: GPL-2.0-only
"""A core file of the whole guest, as a kdump kernel would leave it in /proc/vmcore.

ELF: a note for each processor (NT_PRSTATUS) and one with VMCOREINFO, then the RAM. Each
piece of RAM has its physical address and its address in the kernel's direct map. The
kernel's image, which is mapped at another address too, has a second program header.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import IO, Callable, Iterator

from ..linux import processors, task
from ..target import core_file, kernel, structs
from ..target.core_file import NT_PRSTATUS, NT_VMCOREINFO
from ..target.debugger import debugger
from ..target.elffile import EHDR, EM_X86_64, ET_CORE, NOTE, PHDR, PT_LOAD, PT_NOTE
from ..target.memory import PAGE_SIZE, START_KERNEL_MAP
from . import ram, vmcoreinfo

PF_RWX = 7


@dataclass(frozen=True)
class Segment:
    """A program header of the core: guest memory and where it is in the file."""

    physical: int
    virtual: int
    size: int
    offset: int


@dataclass(frozen=True)
class Core:
    """A finished core file."""

    path: str
    size: int  # the length of the file, in bytes
    written: int  # bytes of it that are not holes
    ram: int  # bytes
    segments: tuple[Segment, ...]
    processors: int


Progress = Callable[[int, int], None]  # called with bytes done, and bytes in all


def write(path: str, progress: Progress) -> Core:
    """Write a core file of the stopped guest; it gets its path when it is complete.

    Raises memory.Fault, memory.Broken, OSError; then what was at the path before is there
    still.
    """
    parts = ram.ranges()
    notes = b"".join(_notes())
    segments = _segments(parts, EHDR.size + (len(parts) + 2) * PHDR.size + len(notes))
    with _replacing(path) as file:
        file.write(_headers(segments, len(notes)) + notes)
        written = file.tell() + _write_ram(file, parts, segments, progress)
        size = max(segment.offset + segment.size for segment in segments)
        file.truncate(size)
    total = sum(part.size for part in parts)
    count = len(debugger().threads())
    return Core(path, size, written, total, tuple(segments), count)


def _segments(parts: list[ram.Range], headers: int) -> list[Segment]:
    """The kernel's image, then each piece of RAM.

    :param headers: how many bytes of the file the headers and notes take
    """
    guest = kernel.memory()
    offset = -(-headers // PAGE_SIZE) * PAGE_SIZE
    of_ram = []
    for part in parts:
        of_ram.append(
            Segment(part.start, guest.page_offset + part.start, part.size, offset)
        )
        offset += part.size
    start = structs.address_of("_text")
    physical = start - START_KERNEL_MAP + guest.phys_base
    size = structs.address_of("_end") - start
    holder = next(part for part in of_ram if 0 <= physical - part.physical < part.size)
    inside = holder.offset + physical - holder.physical
    return [Segment(physical, start, size, inside), *of_ram]


def _headers(segments: list[Segment], notes: int) -> bytes:
    """The ELF header and all program headers, that of the notes first.

    :param notes: the size of all notes in bytes
    """
    count = len(segments) + 1
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    data = EHDR.pack(
        ident, ET_CORE, EM_X86_64, 1, 0, EHDR.size, 0, 0, EHDR.size, PHDR.size, count,
        *(0, 0, 0),
    )  # fmt: skip
    behind = EHDR.size + count * PHDR.size
    data += PHDR.pack(PT_NOTE, 0, behind, 0, 0, notes, notes, 4)
    for segment in segments:
        data += PHDR.pack(
            PT_LOAD, PF_RWX, segment.offset, segment.virtual, segment.physical,
            segment.size, segment.size, PAGE_SIZE,
        )  # fmt: skip
    return data


def _notes() -> Iterator[bytes]:
    for processor in processors.processors():
        yield _note(b"CORE", NT_PRSTATUS, _prstatus(processor))
    yield _note(b"VMCOREINFO", NT_VMCOREINFO, vmcoreinfo.vmcoreinfo())


def _note(name: bytes, kind: int, content: bytes) -> bytes:
    name += b"\0"
    head = NOTE.pack(len(name), len(content), kind)
    return head + _padded(name) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 4) * 4, b"\0")


def _prstatus(processor: processors.Processor) -> bytes:
    """The registers of a processor and the id of the task on it."""
    names = tuple(name for name in core_file.PR_REG if name != "orig_rax")
    found = debugger().registers(processor.thread, names)
    pid = task.task(processor.current).pid if processor.current else 0
    return core_file.prstatus(pid, found)


def _write_ram(
    file: IO[bytes],
    parts: list[ram.Range],
    segments: list[Segment],
    progress: Progress,
) -> int:
    """Write the pages that are not zeros; the rest of the file is holes."""
    total, before, written = sum(part.size for part in parts), 0, 0
    for part, segment in zip(parts, segments[1:]):
        for address, data in ram.contents(part):
            file.seek(segment.offset + address - part.start)
            file.write(data)
            written += len(data)
            progress(before + address + len(data) - part.start, total)
        before += part.size
    return written


@contextmanager
def _replacing(path: str) -> Iterator[IO[bytes]]:
    """A new file that gets the path when the block ends without an exception."""
    folder, name = os.path.split(os.path.abspath(path))
    with NamedTemporaryFile(dir=folder, prefix=f".{name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
