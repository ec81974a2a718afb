# SPDX-License-Identifier: GPL-2.0-only
"""A made-up guest for unit tests: some RAM, and the layout of a real kernel.

Nothing in the lab is mocked: it reads this RAM as it reads that of a stopped guest, and
finds the direct map by itself. This needs no kernel, gdb or QEMU.

    mm = guest.put("struct mm_struct", {"map_count": 2, "mm_users.counter": 1})
    assert mm_struct(mm).map_count == 2
"""

from __future__ import annotations

import functools
import json
import mmap
import struct
from pathlib import Path
from typing import Any, Callable, Mapping

from lab.linux.processors import REGISTERS
from lab.target import elffile, kernel, structs
from lab.target.debugger import use
from lab.target.files_debugger import FilesDebugger
from lab.target.layout import Layout
from lab.target.memory import START_KERNEL_MAP, Fault
from lab.target.physical import Block
from lab.target.placement import PAGE_OFFSETS
from lab.target.types import CType, Kind

LAYOUTS = {
    file.stem: file for file in (Path(__file__).parent / "layouts").glob("*.json")
}
PAGE = 4096
PAGE_OFFSET = PAGE_OFFSETS[4]
SIZE = 64 << 20
HEAP = 48 << 20  # objects are put here, behind the kernel's image
PRESENT, WRITE, USER, LARGE = 1, 2, 4, 1 << 7
BANNER = b"Linux version made.up (seginfo@lab) #1\n\0"
WORD = struct.Struct("<Q")
PER_CPU_SIZE = 256 << 10


class MadeUpRam:
    """Anonymous memory in place of a guest's RAM file: see lab.target.physical."""

    name = "made-up RAM"

    def __init__(self) -> None:
        self.ram = mmap.mmap(-1, SIZE)
        self.blocks = [Block(0, SIZE, 0)]

    def locate(self, address: int, size: int) -> tuple[mmap.mmap, int]:
        """See lab.target.physical."""
        if 0 <= address and address + size <= SIZE:
            return self.ram, address
        raise Fault(address, "no RAM at this physical address")


class Guest:
    """A kernel with just enough in its memory that the lab can read it."""

    def __init__(self, layout: Layout, folder: Path, levels: int = 4) -> None:
        """Make one whose page tables have 4 or 5 levels; it is the debugger's from now on.

        :param layout: the kernel's, see layout()
        :param folder: where its vmlinux goes
        """
        self.layout = layout
        self.levels = levels
        self.page_offset = PAGE_OFFSETS[levels]
        self.image = MadeUpRam()
        self._free = HEAP
        vmlinux = folder / "vmlinux"
        vmlinux.write_bytes(_vmlinux(layout.address_of("linux_banner")))
        self._registers: Any = []
        debugger = FilesDebugger(str(vmlinux), layout, self.image, self._registers)
        structs.forget()
        kernel.forget()
        use(debugger)
        self.write(layout.address_of("linux_banner"), BANNER)
        self._map_direct_map()
        if "page_offset_base" in layout.symbols:
            self.write(
                layout.address_of("page_offset_base"), WORD.pack(self.page_offset)
            )

    # --- Memory ------------------------------------------------------------------

    def physical(self, address: int) -> int:
        """Translate an address of the kernel image or of the direct map."""
        base = START_KERNEL_MAP if address >= START_KERNEL_MAP else self.page_offset
        return address - base

    def write(self, address: int, data: bytes) -> None:
        """Write at a kernel address."""
        place = self.physical(address)
        self.image.ram[place : place + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        """Read at a kernel address."""
        place = self.physical(address)
        return self.image.ram[place : place + size]

    def room(self, size: int, align: int = 64) -> int:
        """Allocate zeroed memory in the direct map."""
        start = -(-self._free // align) * align
        self._free = start + size
        assert self._free <= SIZE, "this guest has no more memory"
        return self.page_offset + start

    def string(self, text: bytes) -> int:
        """Put a string into kernel memory."""
        place = self.room(len(text) + 1, 1)
        self.write(place, text + b"\0")
        return place

    # --- Structures --------------------------------------------------------------

    def put(
        self,
        type_name: str,
        members: Mapping[str, int | bytes] = {},
        address: int | None = None,
        align: int = 64,
    ) -> int:
        """Write a structure with these members, by path, and return its address."""
        if address is None:
            address = self.room(self.layout.lookup_type(type_name).size, align)
        for path, value in members.items():
            self.set(type_name, address, path, value)
        return address

    def set(self, type_name: str, address: int, path: str, value: int | bytes) -> None:
        """Set a member of a structure."""
        offset, kind = structs.member(type_name, path)
        self.write(address + offset, _encoded(kind, value))

    def has(self, type_name: str, path: str) -> bool:
        """Does this kernel have such a member?"""
        return structs.has_member(type_name, path)

    def symbol(self, name: str, size: int = 8) -> int:
        """Give the kernel another symbol, and return its address."""
        address = self.room(size)
        self.layout.symbols[name] = [address, size]
        structs.forget()  # that there was none
        return address

    def without_symbol(self, name: str) -> None:
        """Take a symbol from the kernel, if it has it."""
        self.layout.symbols.pop(name, None)
        structs.forget()

    def has_also(self, type_name: str, member: str, kind: str) -> None:
        """Give a structure another member, behind the others."""
        found = self.layout._types[type_name]
        found["fields"][member] = [8 * found["size"], 0, kind]
        found["size"] += -(-self.layout.lookup_type(kind).size // 8) * 8
        structs.forget()

    def variable(self, symbol: str, value: int) -> None:
        """Set a variable of 8 bytes."""
        self.write(self.layout.address_of(symbol), WORD.pack(value % (1 << 64)))

    # --- Processors ----------------------------------------------------------------

    def per_cpu_areas(self, count: int = 1) -> list[int]:
        """Make the per-CPU variables of so many CPUs, and return the offset of each."""
        size = self.layout.variable_size("__per_cpu_offset") // WORD.size
        areas = [self.room(PER_CPU_SIZE, PAGE) for _ in range(count)]
        none = self.layout.address_of("__per_cpu_load")
        words = areas + [none] * (size - count)
        place = self.layout.address_of("__per_cpu_offset")
        self.write(place, b"".join(map(WORD.pack, words)))
        return areas

    def per_cpu(self, area: int, symbol: str, value: int) -> None:
        """Set a per-CPU variable of 8 bytes."""
        self.write(area + self.layout.address_of(symbol), WORD.pack(value))

    def processor(self, **registers: int) -> int:
        """Add a processor, and return the number of its thread; other registers are 0."""
        self._registers.append(dict.fromkeys(REGISTERS, 0) | registers)
        return len(self._registers)

    def link(self, head: int, *nodes: int) -> None:
        """Make a circular list of struct list_head."""
        ring = (head, *nodes)
        for i, node in enumerate(ring):
            following = ring[(i + 1) % len(ring)]
            self.put("struct list_head", {"next": following, "prev": ring[i - 1]}, node)

    # --- Page tables -------------------------------------------------------------

    def table(self) -> int:
        """Make an empty page table, and return its physical address."""
        return self.physical(self.room(PAGE, PAGE))

    def entry(self, table: int, index: int, value: int) -> None:
        """Write an entry of the page table at a physical address."""
        WORD.pack_into(self.image.ram, table + 8 * index, value)

    def map(
        self,
        pgd: int,
        address: int,
        physical: int,
        flags: int = USER | WRITE,
        level: int = 1,
    ) -> None:
        """Map a page, or a large one at level 2 or 3, with the tables in between."""
        table = pgd
        for at in range(self.levels, level, -1):
            index = address >> 12 + 9 * (at - 1) & 511
            (value,) = WORD.unpack_from(self.image.ram, table + 8 * index)
            if not value & PRESENT:
                value = self.table() | PRESENT | WRITE | USER
                self.entry(table, index, value)
            table = value & 0x000F_FFFF_FFFF_F000
        index = address >> 12 + 9 * (level - 1) & 511
        large = LARGE if level > 1 else 0
        self.entry(table, index, physical | flags | PRESENT | large)

    def _map_direct_map(self) -> None:
        pgd = self.physical(self.layout.address_of("init_top_pgt"))
        for start in range(0, SIZE, 2 << 20):
            self.map(pgd, self.page_offset + start, start, WRITE, level=2)


def _encoded(kind: CType, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        assert len(value) <= kind.size, f"{kind.name} has no room for {value!r}"
        return value.ljust(kind.size, b"\0")
    assert kind.is_scalar or kind.kind is Kind.POINTER, f"{kind.name} is no number"
    return (value % (1 << 8 * kind.size)).to_bytes(kind.size, "little")


def _vmlinux(banner: int) -> bytes:
    """Make an ELF file with linux_banner at this address and nothing else."""
    offset = elffile.EHDR.size + elffile.PHDR.size
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    size, header = len(BANNER), elffile.EHDR.size
    counts = (elffile.PHDR.size, 1, 0, 0, 0)
    head = elffile.EHDR.pack(ident, 2, 62, 1, 0, header, 0, 0, header, *counts)
    load = (elffile.PT_LOAD, 4, offset, banner, 0, size, size, PAGE)
    return head + elffile.PHDR.pack(*load) + BANNER


def layout(kernel_name: str) -> Layout:
    """Load a kernel's layout from tests/unit/layouts."""
    return Layout(json.loads(_text(LAYOUTS[kernel_name])))


@functools.cache
def _text(file: Path) -> str:
    return file.read_text()


MakeGuest = Callable[[], Guest]
Members = dict[str, Any]
