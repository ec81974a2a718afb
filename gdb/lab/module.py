# SPDX-License-Identifier: GPL-2.0-only
"""Loaded modules: struct module (include/linux/module.h)."""

from __future__ import annotations

from typing import Iterator, NamedTuple

from . import kernel, layout, lists
from .printable import text_of

# One layout for all until v6.3, since v6.4 (ac3b43283923) one piece of memory for
# each kind of code and data.
MODULE = layout.Form("struct module", "name", "state")
LAYOUT = layout.Form("struct module_layout", "base", "size")
MEMORY = layout.Form("struct module_memory", "base", "size")


class Piece(NamedTuple):
    """A range of addresses of a module."""

    module: str
    what: str
    start: int
    size: int
    address: int  # struct module *


def for_each_module() -> Iterator[Piece]:
    """The memory of all modules. Raises Broken, memory.Fault."""
    guest = kernel.memory()
    if not layout.has_symbol("modules"):
        return
    head = layout.address_of("modules")
    for address in lists.list_for_each_entry(head, "struct module", "list"):
        name = text_of(MODULE(guest, address).name.split(b"\0")[0])
        for what, place, form in _pieces():
            read = form(guest, address + place)
            if read.size:
                yield Piece(name, what, read.base, read.size, address)


@layout.cached
def _pieces() -> tuple[tuple[str, int, layout.Form], ...]:
    """What it is, where in struct module, and how to read it."""
    if layout.has_member("struct module", "core_layout"):
        names = ("core_layout", "init_layout")
        return tuple(
            (name, layout.offsetof("struct module", name), LAYOUT) for name in names
        )
    base = layout.offsetof("struct module", "mem")
    step = layout.sizeof("struct module_memory")
    kinds = layout.enumerators("enum mod_mem_type")
    return tuple(
        (name.removeprefix("MOD_").lower(), base + step * number, MEMORY)
        for name, number in kinds.items()
        if number < kinds["MOD_MEM_NUM_TYPES"] and name != "MOD_INVALID"
    )
