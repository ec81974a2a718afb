# SPDX-License-Identifier: GPL-2.0-only
"""Loaded modules: struct module (include/linux/module.h), and their symbols.

A module's symbols are in its own memory: the kernel keeps them to print names.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, NamedTuple

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.elffile import SHN_UNDEF, SYM
from ..target.memory import Broken, Fault
from . import lists
from .structs.lib import (
    ListHead,
    ModKallsyms,
    Module,
    ModuleLayout,
    ModuleMemory,
    ModuleSectAttr,
    ModuleSectAttrs,
    ModuleUse,
)

# One layout for all until v6.3, since v6.4 (ac3b43283923) one piece of memory for
# each kind of code and data.
MAPPING_SYMBOL = re.compile(rb"\.L|\$[axtd](\.|$)")  # is_arm_mapping_symbol()
KSYM_NAME_LEN = 512  # 128 before v6.1 (b8a94bfb3395)
MODULE_REF_BASE = 1  # kernel/module/main.c
MOST_SECTIONS = 4096  # likewise
MOST_SYMBOLS = 1 << 20  # ends a count that is damaged; the largest have 100,000


class Piece(NamedTuple):
    """A range of addresses of a module."""

    module: str
    what: str
    start: int
    size: int
    address: Ptr[Module]
    text_size: int  # of its code, which is at the start

    def holds(self, start: int, size: int = 1) -> bool:
        """Does a range lie in it as a whole?"""
        return self.start <= start and start + size <= self.start + self.size


class Symbol(NamedTuple):
    """A symbol, and where it ends: code where the next one starts, data by its size."""

    name: str
    start: int
    end: int
    module: str


def for_each_module() -> Iterator[Piece]:
    """The memory of all modules. Raises Broken, memory.Fault."""
    for module in modules():
        yield from _pieces_of(module.address)


def _pieces_of(address: Ptr[Module]) -> Iterator[Piece]:
    """Raises Fault."""
    guest = kernel.memory()
    name = text_of(Module(guest, address).name.split(b"\0")[0])
    for what, place, form in _pieces():
        read = form(guest, Ptr[Any](address + place))
        if read.size:
            text = read.size if "text" in what else 0
            if isinstance(read, ModuleLayout):
                text = read.text_size
            yield Piece(name, what, read.base, read.size, address, text)


@structs.cached
def _pieces() -> tuple[tuple[str, int, type[ModuleLayout] | type[ModuleMemory]], ...]:
    """What it is, where in struct module, and how to read it."""
    if structs.has_member("struct module", "core_layout"):
        names = ("core_layout", "init_layout")
        return tuple(
            (name, structs.offsetof("struct module", name), ModuleLayout)
            for name in names
        )
    base = structs.offsetof("struct module", "mem")
    step = structs.sizeof("struct module_memory")
    kinds = structs.enumerators("enum mod_mem_type")
    return tuple(
        (name.removeprefix("MOD_").lower(), base + step * number, ModuleMemory)
        for name, number in kinds.items()
        if number < kinds["MOD_MEM_NUM_TYPES"] and name != "MOD_INVALID"
    )


def module_address_lookup(address: int) -> Symbol | None:
    """The symbol around an address of a module, as the kernel finds it.

    None where there is no module, or none that has symbols, and where the list of
    modules or the module's symbols are damaged. See kernel/module/kallsyms.c.
    """
    try:
        for piece in for_each_module():
            if piece.holds(address) and not _is_unformed(piece.address):
                return _find_kallsyms_symbol(piece, address)
    except (Broken, Fault):
        pass
    return None


def named(name: str) -> list[Symbol]:
    """All symbols of modules with a name. Raises Broken, memory.Fault."""
    found: dict[int, Symbol] = {}
    for piece in for_each_module():
        table = Module(kernel.memory(), piece.address).kallsyms
        if not table or _is_unformed(piece.address):
            continue
        strings, symbols = _tables(piece.address, table)
        for offset, _, _, section, value, _ in SYM.iter_unpack(symbols):
            if section == SHN_UNDEF or _name(strings + offset) != name:
                continue
            inside = piece.holds(value)
            symbol = _find_kallsyms_symbol(piece, value) if inside else None
            if inside:
                end = symbol.end if symbol else 0
                found.setdefault(value, Symbol(name, value, end, piece.module))
    return list(found.values())


def modules() -> Iterator[Module]:
    """All loaded modules, the last one loaded first. Raises Broken."""
    if not structs.has_symbol("modules"):
        return
    head = Ptr[ListHead](structs.address_of("modules"))
    for place in lists.list_for_each_entry(head, Module, "list"):
        try:
            yield Module(kernel.memory(), place)
        except Fault as fault:
            raise Broken(f"the module at {place:#x} cannot be read: {fault}") from None


def name_of(module: Module) -> str:
    """A module's name, escaped."""
    return text_of(module.name.split(b"\0")[0])


def state_of(module: Module) -> str:
    """Live, Loading, Unloading, as in /proc/modules; Unformed before it is shown there."""
    names = {
        number: name
        for name, number in structs.enumerators("enum module_state").items()
    }
    name = names.get(module.state, "").removeprefix("MODULE_STATE_")
    words = {"LIVE": "Live", "COMING": "Loading", "GOING": "Unloading"}
    return words.get(name, "Unformed" if name == "UNFORMED" else str(module.state))


def module_refcount(module: Module) -> int | None:
    """How many use a module: kernel/module/main.c. None where none can be unloaded."""
    return None if module.refcnt is None else module.refcnt - MODULE_REF_BASE


def users_of(module: Module) -> Iterator[Module]:
    """The modules that need a module: mod->source_list. Raises Broken, Fault."""
    if not structs.has_member("struct module", "source_list"):
        return
    guest = kernel.memory()
    inside = structs.offsetof("struct module", "source_list")
    head = Ptr[ListHead](module.address + inside)
    for place in lists.list_for_each_entry(head, ModuleUse, "source_list"):
        yield Module(guest, ModuleUse(guest, place).source)


def is_permanent(module: Module) -> bool:
    """Can a module never be unloaded: has it an init function, but none for the exit?"""
    return bool(module.init and not module.exit)


def taint_letters(module: Module) -> str:
    """What a module has done to the kernel's name: module_flags_taint(). Raises Fault."""
    if not structs.has_symbol("taint_flags"):
        return ""
    guest, found = kernel.memory(), ""
    place, size = structs.address_of("taint_flags"), structs.sizeof("struct taint_flag")
    letter = structs.offsetof("struct taint_flag", "c_true")
    own = structs.offsetof("struct taint_flag", "module")
    for number in range(structs.variable_size("taint_flags") // size):
        raw = guest.read(place + number * size, size)
        if raw[own] and module.taints >> number & 1:
            found += chr(raw[letter])
    return found


def symbols_of(module: Module) -> Iterator[tuple[str, int]]:
    """The symbols of a module that have a name, with their values. Raises Broken, Fault."""
    if not module.kallsyms:
        return
    strings, symbols = _tables(module.address, module.kallsyms)
    for offset, _, _, section, value, _ in SYM.iter_unpack(symbols):
        name = _name(strings + offset)
        if section != SHN_UNDEF and name:
            yield name, value


def pieces_of(module: Module) -> list[Piece]:
    """Where a module's memory is. Raises Fault."""
    return list(_pieces_of(module.address))


class Section(NamedTuple):
    """A section of a module: where /sys/module/NAME/sections says it is."""

    name: str
    start: int


def sections(module: Ptr[Module]) -> list[Section]:
    """The sections of a module's file that are in memory, as sysfs has them.

    Those of the init part stay listed when their memory has been given back. Empty where
    the kernel keeps none: without CONFIG_SYSFS or CONFIG_KALLSYMS, or while the module is
    set up.

    :raises Broken, Fault: they are damaged, or cannot be read
    """
    guest = kernel.memory()
    place = Module(guest, module).sect_attrs
    if not place or not structs.has_member("struct module_sect_attrs", "nsections"):
        return []
    count = ModuleSectAttrs(guest, place).nsections
    if count > MOST_SECTIONS:
        raise Broken(f"a module with {count} sections")
    start = place + structs.offsetof("struct module_sect_attrs", "attrs")
    size = structs.sizeof("struct module_sect_attr")
    found = []
    for number in range(count):
        own = ModuleSectAttr(guest, Ptr[ModuleSectAttr](start + number * size))
        name = text_of(guest.read_string(own.name, KSYM_NAME_LEN))
        found.append(Section(name, own.address_))
    return found


def _is_unformed(module: Ptr[Module]) -> bool:
    """Is it still being put together?"""
    state = Module(kernel.memory(), module).state
    return bool(
        state == structs.enumerators("enum module_state")["MODULE_STATE_UNFORMED"]
    )


def _find_kallsyms_symbol(piece: Piece, address: int) -> Symbol | None:
    """find_kallsyms_symbol(): the closest symbol below, and the next one.

    The kernel asks for code alone. Data has the size that the table tells: what is behind
    it is no symbol's. Raises Broken, memory.Fault.
    """
    table = Module(kernel.memory(), piece.address).kallsyms
    if not table:
        return None  # no CONFIG_KALLSYMS
    strings, symbols = _tables(piece.address, table)
    known: list[tuple[int, int, int]] = [
        (value, strings + name, size)
        for name, _, _, section, value, size in SYM.iter_unpack(symbols)
        if section != SHN_UNDEF and piece.holds(value)
    ]
    below = [symbol for symbol in known if symbol[0] <= address]
    # The sort is stable: of several at one address the first in the table counts
    below.sort(key=lambda symbol: symbol[0], reverse=True)
    text_end = piece.start + piece.text_size
    for start, place, size in below:
        name = _name(place)
        if not name or address >= text_end > start:
            continue
        if start >= text_end:
            if address < start + size:
                return Symbol(name, start, start + size, piece.module)
            continue
        above = sorted(symbol for symbol in known if address < symbol[0] < text_end)
        end = next((value for value, place, _ in above if _name(place)), text_end)
        return Symbol(name, start, end, piece.module)
    return None


def in_symbol_table(piece: Piece, address: int) -> tuple[int, str] | None:
    """Where the names that a module keeps start, and which part an address is in.

    None if it is not in them: see struct mod_kallsyms. Raises Broken, memory.Fault.
    """
    table = Module(kernel.memory(), piece.address).kallsyms
    if not table or not piece.holds(address):
        return None
    read = ModKallsyms(kernel.memory(), table)
    types = read.symtab + read.num_symtab * SYM.size
    if read.symtab <= address < types:
        number = (address - read.symtab) // SYM.size
        return read.symtab, f"symbol {number} of {read.num_symtab}"
    for start, end, what in (
        (read.strtab, read.typetab, "the names"),
        (read.typetab, read.typetab + read.num_symtab, "their types"),
    ):
        if start <= address < end and piece.holds(start, end - start):
            return start, what
    return None


def _tables(module: Ptr[Module], kallsyms: Ptr[ModKallsyms]) -> tuple[int, bytes]:
    """Where the names are, and all symbols but the first, which is none.

    While the module is set up they are in memory that is given back afterwards.

    :param module: struct module *
    :param kallsyms: struct mod_kallsyms *
    :raises Broken, Fault: a list or tree is damaged, or cannot be read
    """
    guest = kernel.memory()
    read = ModKallsyms(guest, kallsyms)
    size = read.num_symtab * SYM.size
    if read.num_symtab > MOST_SYMBOLS:
        raise Broken(f"a module with {read.num_symtab} symbols")
    pieces = list(_pieces_of(module))
    for start, length in ((read.symtab, size), (read.strtab, 1)):
        if not any(piece.holds(start, length) for piece in pieces):
            raise Broken(f"the symbols at {start:#x} are not in the module's memory")
    return read.strtab, guest.read(read.symtab, size)[SYM.size :]


def _name(address: int) -> str:
    """A symbol's name, "" for those that the kernel passes over.

    Raises Broken for what no compiler makes, memory.Fault.
    """
    name = kernel.memory().read_string(address, KSYM_NAME_LEN)
    if not all(0x20 < letter < 0x7F for letter in name):
        raise Broken(f"the name of a symbol at {address:#x} is none")
    return "" if MAPPING_SYMBOL.match(name) else name.decode("ascii")
