# SPDX-License-Identifier: GPL-2.0-only
"""Names of kernel addresses, as the kernel itself prints them (kernel/kallsyms.c).

The kernel's own table decides, not the debug info: where several symbols share
an address, and how long a function is, only the table says what %pB prints. Those
of modules are in the guest's memory: module.py.
"""

from __future__ import annotations

import bisect
import os
import re
import struct
from dataclasses import dataclass

from ..target import structs, vmlinux
from ..target.debugger import debugger
from . import module
from .regions import MODULES_END

MODULES_START = 0xFFFF_FFFF_A000_0000  # MODULES_VADDR without KASLR, pgtable_64_types.h
MASK = 0xFFFF_FFFF_FFFF_FFFF
TEXTS = (("_stext", "_etext"), ("_sinittext", "_einittext"))
SCHEDULER_TEXTS = (
    ("__sched_text_start", "__sched_text_end"),
    ("__lock_text_start", "__lock_text_end"),
)
TABLES = (
    *("offsets", "addresses", "relative_base", "num_syms", "names", "markers"),
    *("token_table", "token_index", "seqs_of_names"),
)
ENTRY_TEXTS = (("__entry_text_start", "__entry_text_end"),)


@dataclass(frozen=True)
class Kallsyms:
    """The table in vmlinux: symbols by address."""

    addresses: tuple[int, ...]
    places: tuple[int, ...]  # where each name starts in names
    names: bytes  # compressed
    tokens: tuple[bytes, ...]

    def name(self, index: int) -> str:
        """kallsyms_expand_symbol(), without the letter of the type in front."""
        length, start = _length(self.names, self.places[index])
        text = b"".join(self.tokens[i] for i in self.names[start : start + length])
        return text[1:].decode("ascii", "backslashreplace")

    def find(self, address: int) -> tuple[int, int, int] | None:
        """get_symbol_pos(): index, start and end of the symbol around an address."""
        after = bisect.bisect_right(self.addresses, address)
        if after in (0, len(self.addresses)):
            return None
        start = self.addresses[after - 1]
        first = bisect.bisect_left(self.addresses, start)
        return first, start, self.addresses[after]


def _length(names: bytes, place: int) -> tuple[int, int]:
    """A name's length and where it starts; ULEB128 since v6.1 (73bbb94466fd)."""
    length = names[place]
    if length & 0x80:
        return length & 0x7F | names[place + 1] << 7, place + 2
    return length, place + 1


@structs.cached
def kallsyms() -> Kallsyms | None:
    """The kernel's symbol table, None for a kernel without CONFIG_KALLSYMS.

    Read from vmlinux, which check_running() has compared with the kernel.
    """
    if not structs.has_symbol("kallsyms_names"):
        return None
    count = int.from_bytes(_table("kallsyms_num_syms", 4), "little")
    # Nothing says how long the names are. They end where the next table starts.
    names = _table("kallsyms_names", _room("kallsyms_names"))
    places, place = [], 0
    for _ in range(count):
        places.append(place)
        length, start = _length(names, place)
        place = start + length
    index = struct.unpack("<256H", _table("kallsyms_token_index", 512))
    table = _table("kallsyms_token_table", index[255] + 256)
    tokens = tuple(table[i : table.index(0, i)] for i in index)
    return Kallsyms(_addresses(count), tuple(places), names, tokens)


def _table(symbol: str, size: int) -> bytes:
    return vmlinux.file_contents(structs.address_of(symbol), size)


def _room(symbol: str) -> int:
    """Bytes from one table of kallsyms to the one behind it."""
    names = [f"kallsyms_{name}" for name in TABLES]
    starts = [structs.address_of(name) for name in names if structs.has_symbol(name)]
    here = structs.address_of(symbol)
    return min(start for start in starts if start > here) - here


def _addresses(count: int) -> tuple[int, ...]:
    """kallsyms_sym_address() of all symbols."""
    if structs.has_symbol("kallsyms_addresses"):
        return struct.unpack(f"<{count}Q", _table("kallsyms_addresses", 8 * count))
    base = int.from_bytes(_table("kallsyms_relative_base", 8), "little")
    offsets = struct.unpack(f"<{count}i", _table("kallsyms_offsets", 4 * count))
    if min(offsets) < 0:  # CONFIG_KALLSYMS_ABSOLUTE_PERCPU
        return tuple(offset if offset >= 0 else base - 1 - offset for offset in offsets)
    return tuple(base + offset for offset in offsets)


def sprint_symbol(address: int) -> str:
    """NAME+OFFSET/SIZE as %pS prints it; the bare address where nothing is known."""
    return _sprint(address, address)


def sprint_short(address: int) -> str:
    """As sprint_symbol() without the size, where there is little room."""
    return re.sub("/0x[0-9a-f]+", "", sprint_symbol(address))


def sprint_backtrace(address: int) -> str:
    """As %pB prints a return address: the call before it is what is looked up.

    A call that never returns may be the last instruction of its function.
    """
    return _sprint(address, address - 1)


def _sprint(address: int, inside: int) -> str:
    if _is_module_address(inside):
        symbol = module.module_address_lookup(inside)
        if symbol is None:
            return f"{address:#x}"
        size = symbol.end - symbol.start & MASK
        offset = address - symbol.start
        return f"{symbol.name}+{offset:#x}/{size:#x} [{symbol.module}]"
    table = kallsyms()
    found = table.find(inside) if table and is_kernel_text(inside) else None
    if table is None or found is None:
        return _of_debug_info(address)
    index, start, end = found
    return f"{table.name(index)}+{address - start:#x}/{end - start:#x}"


def _of_debug_info(address: int) -> str:
    """What gdb knows of the kernel image beyond code, and without CONFIG_KALLSYMS."""
    return debugger().symbol_at(address) or f"{address:#x}"


def symbol_name(address: int) -> str:
    """The symbol around an address of the kernel image or a module, "" if there is none.

    Unlike sprint_symbol() for data too: a sched_class, a file_operations. As %ps
    prints it, with the module behind it.
    """
    if _is_module_address(address):
        symbol = module.module_address_lookup(address)
        return f"{symbol.name} [{symbol.module}]" if symbol else ""
    table = kallsyms()
    found = (
        table.find(address)
        if table and address >= structs.address_of("_text")
        else None
    )
    return table.name(found[0]) if table and found else ""


def named(name: str) -> list[module.Symbol]:
    """All symbols of the kernel image with a name: kallsyms_on_each_match_symbol()."""
    table = kallsyms()
    return (
        [_symbol(table, index) for index in _by_name().get(name, ())] if table else []
    )


@structs.cached
def _by_name() -> dict[str, list[int]]:
    """The symbols with each name, by their places in the table."""
    found: dict[str, list[int]] = {}
    table = kallsyms()
    if table is None:
        return found
    for index in range(len(table.addresses)):
        found.setdefault(table.name(index), []).append(index)
    return found


def starting_with(name: str) -> list[module.Symbol]:
    """The symbols of the kernel image with a name, also as a variable of a function.

    gcc calls those NAME.NUMBER.
    """
    table = kallsyms()
    if table is None:
        return []
    form = re.compile(rf"{re.escape(name)}(\.\d+)?")
    return [
        _symbol(table, index)
        for other, indexes in _by_name().items()
        if form.fullmatch(other)
        for index in indexes
    ]


def around(address: int) -> list[module.Symbol]:
    """The symbols around an address, several where several start at the same place."""
    if _is_module_address(address):
        found = module.module_address_lookup(address)
        return [found] if found else []
    table = kallsyms()
    if table is None or not _within(address, (("_text", "_end"),)):
        return []
    place = table.find(address)
    if place is None:
        return []
    first, start, _ = place
    after = bisect.bisect_right(table.addresses, start)
    return [_symbol(table, index) for index in range(first, after)]


def _symbol(table: Kallsyms, index: int) -> module.Symbol:
    start = table.addresses[index]
    after = bisect.bisect_right(table.addresses, start)
    end = table.addresses[after] if after < len(table.addresses) else 0
    return module.Symbol(table.name(index), start, end, "")


def per_cpu_symbol(place: int) -> module.Symbol | None:
    """The per-CPU variable around an offset, None if there is none.

    :param place: from __per_cpu_start to __per_cpu_end: the same for all CPUs
    """
    table = kallsyms()
    found = table.find(place) if table else None
    return _symbol(table, found[0]) if table and found else None


def names_at(address: int) -> list[str]:
    """All symbols of the kernel image that start at an address."""
    table = kallsyms()
    found = table.find(address) if table else None
    if table is None or found is None or found[1] != address:
        return []
    first = found[0]
    after = bisect.bisect_right(table.addresses, address)
    return [table.name(index) for index in range(first, after)]


def _within(address: int, ranges: tuple[tuple[str, str], ...]) -> bool:
    return any(
        structs.address_of(start) <= address < structs.address_of(end)
        for start, end in ranges
        if structs.has_symbol(start)
    )


def is_kernel_text(address: int) -> bool:
    """Could this be code: __kernel_text_address() in kernel/extable.c?"""
    return _is_module_address(address) or _within(address, TEXTS)


def _is_module_address(address: int) -> bool:
    return MODULES_START <= address < MODULES_END


def in_sched_functions(address: int) -> bool:
    """Is this the scheduler's code, which /proc/PID/stack leaves out?

    See in_sched_functions() in kernel/sched/core.c.
    """
    return _within(address, SCHEDULER_TEXTS)


def in_entry_text(address: int) -> bool:
    """Is this the assembly code between user mode and the kernel's C code?"""
    return _within(address, ENTRY_TEXTS)


@dataclass(frozen=True)
class Source:
    """A place in the kernel's source."""

    file: str  # as seen from the top of the source tree
    line: int
    function: str  # the innermost function, which may be inlined in the symbol's

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else ""


def source_of(address: int) -> Source:
    """The source line of an instruction, from the debug info.

    Empty where the debug info has none.
    """
    found = debugger().line_of(address)
    if not found.line:
        return Source("", 0, "")
    return Source(_relative(found.path), found.line, found.function)


def _relative(path: str) -> str:
    return os.path.normpath(path.removeprefix(_source_folder()))


@structs.cached
def _source_folder() -> str:
    """What stands in front of every path of the kernel's source, with its slash."""
    name = debugger().line_of(structs.address_of("start_kernel")).path
    inside = "init/main.c"
    return name[: -len(inside)] if name.endswith(inside) else ""
