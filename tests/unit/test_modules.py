# SPDX-License-Identifier: GPL-2.0-only
"""Loaded modules: their memory and their symbols."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import made_up
from lab.linux import module
from lab.target import structs
from lab.target.elffile import SHN_UNDEF, SYM
from lab.target.layout import Layout
from lab.target.memory import Broken
from made_up import PAGE, Guest

LIVE, UNFORMED = 0, 3  # enum module_state
ANY_SECTION = 1


class Loaded:
    """A guest with modules of two pages of code, and two pages for symbols."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.modules: list[int] = []

    def module(self, name: bytes, **members: int) -> tuple[int, int]:
        """Load a module, and return its struct module * and where its memory starts."""
        base = self.guest.room(4 * PAGE, PAGE)
        known: dict[str, int | bytes] = {"name": name, "state": LIVE}
        if self.guest.has("struct module", "core_layout"):
            layout = {"base": base, "size": 4 * PAGE, "text_size": 2 * PAGE}
            known |= {f"core_layout.{path}": value for path, value in layout.items()}
        made = self.guest.put("struct module", known | members)
        self.modules.append(made)
        head = structs.address_of("modules")
        inside = structs.offsetof("struct module", "list")
        self.guest.link(head, *(module + inside for module in self.modules))
        return made, base

    def symbols(self, made: int, base: int, *found: tuple[bytes, int, int]) -> int:
        """Give a module symbols: name, address and section. Return the mod_kallsyms *."""
        table, strings = base + 2 * PAGE, base + 3 * PAGE
        data, names = SYM.pack(0, 0, 0, 0, 0, 0), b"\0"
        for name, address, section in found:
            data += SYM.pack(len(names), 0, 0, section, address, 0x18)
            names += name + b"\0"
        self.guest.write(table, data)
        self.guest.write(strings, names)
        members = {"symtab": table, "num_symtab": len(found) + 1, "strtab": strings}
        members["typetab"] = strings + len(names)
        kallsyms = self.guest.put("struct mod_kallsyms", members)
        self.guest.set("struct module", made, "kallsyms", kallsyms)
        return kallsyms


@pytest.fixture
def loaded(guest: Guest) -> Loaded:
    """A guest without modules."""
    guest.link(structs.address_of("modules"))
    return Loaded(guest)


def test_the_memory_of_all_modules(loaded: Loaded) -> None:
    assert list(module.for_each_module()) == []
    first, base = loaded.module(b"first")
    start, size = 0x1234_0000, PAGE
    initial = {"init_layout.base": start, "init_layout.size": size}
    second, other = loaded.module(b"se\ncond", **initial)
    assert list(module.for_each_module()) == [
        ("first", "core_layout", base, 4 * PAGE, first, 2 * PAGE),
        (r"se\ncond", "core_layout", other, 4 * PAGE, second, 2 * PAGE),
        (r"se\ncond", "init_layout", start, size, second, 0),
    ]


def test_a_kernel_without_modules(loaded: Loaded) -> None:
    loaded.module(b"first")
    loaded.guest.without_symbol("modules")
    assert list(module.for_each_module()) == []


def test_what_a_piece_holds() -> None:
    piece = module.Piece("name", "text", 0x1000, 0x100, 0, 0x80)
    for start, size, holds in (
        *((0x1000, 1, True), (0x10FF, 1, True), (0x1000, 0x100, True)),
        *((0xFFF, 1, False), (0x1100, 1, False), (0x1001, 0x100, False)),
    ):
        assert piece.holds(start, size) == holds


@pytest.fixture
def named(loaded: Loaded) -> tuple[Loaded, int, int]:
    """A module with symbols of several kinds, its struct module * and its start."""
    made, base = loaded.module(b"first")
    loaded.symbols(
        *(made, base),
        (b"second", base + 0x200, ANY_SECTION),
        (b"same", base + 0x200, ANY_SECTION),
        (b"first", base + 0x100, ANY_SECTION),
        (b"undefined", base + 0x180, SHN_UNDEF),
        (b".Llocal", base + 0x1C0, ANY_SECTION),
        (b"$x.1", base + 0x1D0, ANY_SECTION),
        (b"", base + 0x1E0, ANY_SECTION),
        (b"absolute", 0, ANY_SECTION),
        (b"data", base + 2 * PAGE + 8, ANY_SECTION),
    )
    return loaded, made, base


@pytest.mark.parametrize(
    ("at", "name", "start", "end"),
    [
        (0x100, "first", 0x100, 0x200),
        (0x1FF, "first", 0x100, 0x200),
        (0x200, "second", 0x200, 2 * PAGE),  # the first of two at one address
        (2 * PAGE - 1, "second", 0x200, 2 * PAGE),
        (2 * PAGE + 8, "data", 2 * PAGE + 8, 2 * PAGE + 0x20),
        (2 * PAGE + 0x1F, "data", 2 * PAGE + 8, 2 * PAGE + 0x20),
    ],
)
def test_the_symbol_around_an_address(
    named: tuple[Loaded, int, int], at: int, name: str, start: int, end: int
) -> None:
    _, _, base = named
    found = module.module_address_lookup(base + at)
    assert found == (name, base + start, base + end, "first")


def test_what_is_behind_data_is_no_symbol_s(named: tuple[Loaded, int, int]) -> None:
    _, _, base = named
    for inside in (2 * PAGE, 2 * PAGE + 7, 2 * PAGE + 0x20, 3 * PAGE):
        assert module.module_address_lookup(base + inside) is None


def test_the_names_that_a_module_keeps(named: tuple[Loaded, int, int]) -> None:
    _, _, base = named
    (piece,) = module.for_each_module()
    table, strings = base + 2 * PAGE, base + 3 * PAGE
    for address, found in (
        (table, (table, "symbol 0 of 10")),
        (table + 24, (table, "symbol 1 of 10")),
        (table + 10 * 24 - 1, (table, "symbol 9 of 10")),
        (table + 10 * 24, None),
        (strings, (strings, "the names")),
        (strings - 1, None),
        (base, None),
        (0, None),
    ):
        assert module.in_symbol_table(piece, address) == found


def test_where_there_is_no_symbol(named: tuple[Loaded, int, int]) -> None:
    loaded, made, base = named
    assert module.module_address_lookup(base + 0x80) is None
    assert module.module_address_lookup(base - 1) is None
    assert module.module_address_lookup(base + 4 * PAGE) is None
    loaded.guest.set("struct module", made, "kallsyms", 0)
    assert module.module_address_lookup(base + 0x100) is None


@pytest.mark.parametrize(("state", "known"), [(1, True), (2, True), (UNFORMED, False)])
def test_a_module_that_is_still_put_together(
    named: tuple[Loaded, int, int], state: int, known: bool
) -> None:
    loaded, made, base = named
    loaded.guest.set("struct module", made, "state", state)
    assert (module.module_address_lookup(base + 0x100) is not None) == known


@pytest.mark.parametrize(
    "members",
    [
        {"num_symtab": (1 << 20) + 1},
        {"symtab": 0xDEAD_0000_0000},
        {"strtab": 0xDEAD_0000_0000},
    ],
)
def test_symbols_that_are_damaged(
    named: tuple[Loaded, int, int], members: dict[str, int]
) -> None:
    loaded, made, base = named
    (piece,) = module.for_each_module()
    kallsyms = module.Module(module.kernel.memory(), made).kallsyms
    loaded.guest.put("struct mod_kallsyms", members, kallsyms)
    with pytest.raises(Broken):
        module._find_kallsyms_symbol(piece, base + 0x100)
    assert module.module_address_lookup(base + 0x100) is None


def test_a_name_that_no_compiler_makes(loaded: Loaded) -> None:
    made, base = loaded.module(b"first")
    for name in (b"a\x1b[31m", b"two words", b"\xff"):
        loaded.symbols(made, base, (name, base + 0x100, ANY_SECTION))
        assert module.module_address_lookup(base + 0x100) is None
    loaded.symbols(made, base, (b"a!~", base + 0x100, ANY_SECTION))
    assert module.module_address_lookup(base + 0x100) is not None


def test_a_list_of_modules_that_is_damaged(named: tuple[Loaded, int, int]) -> None:
    loaded, _, base = named
    head = structs.address_of("modules")
    loaded.guest.set("struct list_head", head, "next", 0xDEAD_0000_0000)
    assert module.module_address_lookup(base + 0x100) is None


def test_memory_in_pieces(tmp_path: Path) -> None:
    """Since v6.4 (ac3b43283923) each kind of code and data has a piece of its own."""
    data = json.loads(made_up.LAYOUTS["6.1"].read_text())
    kinds = {"MOD_TEXT": 0, "MOD_DATA": 1, "MOD_RODATA": 2, "MOD_MEM_NUM_TYPES": 3}
    numbers = kinds | {"MOD_INVALID": -1}
    fields = {"base": [0, 0, "void *"], "size": [64, 0, "unsigned int"]}
    data["types"] |= {
        "enum mod_mem_type": {"kind": "enum", "size": 4, "enumerators": numbers},
        "struct module_memory": {"kind": "struct", "size": 24, "fields": fields},
        "struct module_memory [3]": {
            **{"kind": "array", "size": 72, "count": 3},
            "element": "struct module_memory",
        },
    }
    members = data["types"]["struct module"]["fields"]
    place = members.pop("core_layout")[0]
    del members["init_layout"]
    members["mem"] = [place, 0, "struct module_memory [3]"]
    guest = Guest(Layout(data), tmp_path)
    made, base = Loaded(guest).module(b"first")
    mem = made + structs.offsetof("struct module", "mem")
    guest.put("struct module_memory", {"base": base, "size": PAGE}, mem)
    guest.put("struct module_memory", {"base": base + PAGE, "size": 64}, mem + 48)
    assert list(module.for_each_module()) == [
        ("first", "text", base, PAGE, made, PAGE),
        ("first", "rodata", base + PAGE, 64, made, 0),
    ]
