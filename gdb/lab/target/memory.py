# SPDX-License-Identifier: GPL-2.0-only
"""Guest memory: physical bytes and what x86-64 virtual addresses mean.

Two sources with one interface. RamFile maps the file that QEMU uses as guest
RAM: a read costs about a microsecond and no packet. Stub asks the debug stub,
one packet for an object: for somebody else's QEMU, or kgdb. Nothing here knows a
Linux type.
"""

from __future__ import annotations

import mmap
import struct
from typing import Any, Callable

from .debugger import debugger
from .physical import Mapped

PAGE_SIZE = 4096
PAGE_PRESENT = 1 << 0
PAGE_PSE = 1 << 7  # a large page, in a level 2 or 3 entry
PAGE_PROTNONE = 1 << 8  # Linux: PROT_NONE, when not present
PHYSICAL_MASK = 0x000F_FFFF_FFFF_F000
START_KERNEL_MAP = 0xFFFF_FFFF_8000_0000  # __START_KERNEL_map, page_64_types.h
MOST = 64 << 20  # bytes of one object: a table of eight million descriptors

_U64 = struct.Struct("<Q")


class Fault(Exception):
    """An address that cannot be read: says which and why."""

    def __init__(self, address: int, reason: str) -> None:
        super().__init__(f"cannot read {address:#x}: {reason}")
        self.address = address
        self.reason = reason


class Broken(Exception):
    """A structure that cannot be followed further: says where and why."""


class Stub:
    """Physical memory through the stub, by way of the kernel's direct map.

    QEMU's own physical mode reads absent RAM as zeros without an error, and
    kgdb has none, so a physical address is read where the kernel maps it.
    """

    name = "debug stub"
    page_offset = 0

    def locate(self, address: int, size: int) -> tuple[bytes, int]:
        return read_stub(self.page_offset + address, size), 0


def read_stub(address: int, size: int) -> bytes:
    """Read virtual memory as the stopped CPU sees it, one packet if it fits.

    Raises Fault if it is not mapped.
    """
    return debugger().read_memory(address, size)


class Memory:
    """Virtual memory of the stopped guest over a physical source.

    page_offset, phys_base, image, kernel_pgd and levels are facts of the running kernel,
    which placement.py finds and sets.
    """

    def __init__(self, physical: Stub | Mapped) -> None:
        self.physical = physical
        self.page_offset = 0  # page_offset_base: start of the direct map
        self.phys_base = 0  # physical address of the image less its link address
        self.image = range(0)  # _text to _end: the rest of its 1 GiB is not mapped
        self.kernel_pgd = 0  # physical address of swapper_pg_dir
        self.levels = 4
        self._pages: dict[tuple[int, int], int] = {}

    def forget(self) -> None:
        """Drop cached translations: the target ran or its memory was written."""
        self._pages.clear()

    def locate(self, address: int, size: int) -> tuple[bytes | mmap.mmap, int]:
        """A buffer and offset for kernel memory that lies in one page or in a
        linear mapping. Raises Fault."""
        if isinstance(self.physical, Stub):
            return read_stub(address, size), 0
        linear = None
        if address in self.image and address + size <= self.image.stop:
            linear = address - START_KERNEL_MAP + self.phys_base
        elif self.page_offset and self.page_offset <= address < START_KERNEL_MAP:
            linear = address - self.page_offset
        if linear is not None:
            try:
                return self.physical.locate(linear, size)
            except Fault:
                pass  # above the direct map: vmalloc, vmemmap, ...
        return self.read_mapped(self.kernel_pgd, address, size), 0

    def unpack(self, form: struct.Struct, address: int) -> tuple[Any, ...]:
        """Unpack one object of kernel memory, in one read. Raises Fault."""
        buffer, offset = self.locate(address, form.size)
        return form.unpack_from(buffer, offset)

    def unpacker(self, form: struct.Struct) -> Callable[[int], tuple[Any, ...]]:
        """unpack() for many objects of one form, as a function of the address.

        Almost all objects of the kernel lie in the direct map of the largest block
        of RAM; for them this is one subtraction and one unpack.
        """
        if isinstance(self.physical, Stub) or not self.page_offset:
            return lambda address: self.unpack(form, address)
        block = max(self.physical.blocks, key=lambda block: block.end - block.start)
        ram = self.physical.ram
        low, high = self.page_offset + block.start, self.page_offset + block.end
        high -= form.size
        inside = block.offset - low
        unpack_from, slowly = form.unpack_from, self.unpack

        def unpack(address: int) -> tuple[Any, ...]:
            if low <= address <= high:
                return unpack_from(ram, address + inside)
            return slowly(form, address)

        return unpack

    def read(self, address: int, size: int) -> bytes:
        """Read an object in kernel memory.

        :raises Fault: it cannot be read, or is larger than any object: a damaged size
        """
        if size > MOST:
            raise Fault(address, f"{size} bytes are more than any object has")
        buffer, offset = self.locate(address, size)
        return buffer[offset : offset + size]

    def u64(self, address: int) -> int:
        """Read one unsigned 64-bit word of kernel memory. Raises Fault."""
        value: int = self.unpack(_U64, address)[0]
        return value

    def read_string(self, address: int, limit: int = PAGE_SIZE) -> bytes:
        """Read a NUL-terminated string of kernel memory without the NUL.

        Reads page by page, so that a string at the end of mapped memory is
        whole. Raises Fault where no NUL stands within limit bytes.
        """
        text = b""
        while len(text) < limit:
            step = min(PAGE_SIZE - (address + len(text)) % PAGE_SIZE, limit - len(text))
            text += self.read(address + len(text), step)
            end = text.find(b"\0")
            if end >= 0:
                return text[:end]
        raise Fault(address, f"no end of string within {limit} bytes")

    def read_mapped(self, pgd: int, address: int, size: int) -> bytes:
        """Read virtual memory through the page tables at physical address pgd.

        Raises Fault at the first page that is not present.
        """
        data = bytearray()
        while size:
            step = min(size, PAGE_SIZE - address % PAGE_SIZE)
            buffer, offset = self.physical.locate(self.translate(pgd, address), step)
            data += buffer[offset : offset + step]
            address += step
            size -= step
        return bytes(data)

    def translate(self, pgd: int, address: int) -> int:
        """The physical address behind a virtual one. Raises Fault."""
        page = address & -PAGE_SIZE
        found = self._pages.get((pgd, page))
        if found is None:
            found = self._pages[pgd, page] = self._walk(pgd, address)
        return found | address & PAGE_SIZE - 1

    def _walk(self, table: int, address: int) -> int:
        sign = 12 + 9 * self.levels - 1  # all bits above this one are its copies
        if address >> sign not in (0, (1 << 64 - sign) - 1):
            raise Fault(address, "not canonical")
        for level in range(self.levels, 0, -1):
            shift = 12 + 9 * (level - 1)
            slot = table + (address >> shift & 511) * 8
            buffer, offset = self.physical.locate(slot, 8)
            entry = _U64.unpack_from(buffer, offset)[0]
            if not entry & PAGE_PRESENT:
                raise Fault(address, f"no page (level {level} entry {entry:#x})")
            table = entry & PHYSICAL_MASK
            if level in (2, 3) and entry & PAGE_PSE:
                inside = (1 << shift) - 1
                return (table & ~inside) | address & inside & -PAGE_SIZE
        return table
