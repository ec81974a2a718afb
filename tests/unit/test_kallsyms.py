# SPDX-License-Identifier: GPL-2.0-only
"""Names of kernel addresses, from a small table of symbols."""

from __future__ import annotations

import pytest

from lab.linux import kallsyms, module
from lab.linux.kallsyms import Kallsyms
from made_up import Guest

TEXT, END = 0xFFFF_FFFF_8100_0000, 0xFFFF_FFFF_8100_1000
MODULE = 0xFFFF_FFFF_C000_0000
TOKENS = (*(bytes([letter]) for letter in range(256)),)


def table(*symbols: tuple[int, bytes]) -> Kallsyms:
    """Make a table of these, whose names are compressed by no more than two tokens."""
    tokens = list(TOKENS)
    tokens[1], tokens[2] = b"Tsys_", b"read"
    names, places = b"", []
    for _, name in symbols:
        places.append(len(names))
        packed = name.replace(b"Tsys_", b"\1").replace(b"read", b"\2")
        length = len(packed)
        # ULEB128 since v6.1, 73bbb94466fd
        head = [length] if length < 128 else [length & 127 | 128, length >> 7]
        names += bytes(head) + packed
    addresses = tuple(address for address, _ in symbols)
    return Kallsyms(addresses, tuple(places), names, tuple(tokens))


LONG = b"x" * 300
SYMBOLS = (
    *((TEXT, b"T_stext"), (TEXT + 0x100, b"Tsys_read")),
    *((TEXT + 0x100, b"Tsys_pread64"), (TEXT + 0x100, b"talias")),
    *((TEXT + 0x180, b"t" + LONG), (TEXT + 0x200, b"tlast"), (END, b"T_etext")),
    *((END + 0x1000, b"Dsome_data"), (END + 0x2000, b"B_end")),
)


@pytest.fixture(autouse=True)
def code(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> Guest:
    """A kernel that has this table, and code up to _etext."""
    monkeypatch.setattr(kallsyms, "kallsyms", lambda: table(*SYMBOLS))
    for name, address in (("_stext", TEXT), ("_etext", END), ("_text", TEXT)):
        guest.layout.symbols[name] = [address, 0]
    return guest


def test_names_are_expanded() -> None:
    made = table(*SYMBOLS)
    names = [made.name(index) for index in range(len(SYMBOLS))]
    assert names == [name[1:].decode() for _, name in SYMBOLS]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (TEXT - 1, None),
        (TEXT, (0, TEXT, TEXT + 0x100)),
        (TEXT + 0xFF, (0, TEXT, TEXT + 0x100)),
        (TEXT + 0x100, (1, TEXT + 0x100, TEXT + 0x180)),
        (TEXT + 0x17F, (1, TEXT + 0x100, TEXT + 0x180)),
        (END + 0x1FFF, (7, END + 0x1000, END + 0x2000)),
        (END + 0x2000, None),  # nothing says how long the last one is
    ],
)
def test_the_symbol_around_an_address(
    address: int, expected: tuple[int, int, int] | None
) -> None:
    """The first of several at one address, as get_symbol_pos() takes it."""
    assert table(*SYMBOLS).find(address) == expected


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (TEXT + 0x110, "sys_read+0x10/0x80"),
        (TEXT, "_stext+0x0/0x100"),
        (END - 1, "last+0xdff/0xe00"),
        (END + 0x1000, f"{END + 0x1000:#x}"),  # data: only the debug info knows
        (TEXT - 1, f"{TEXT - 1:#x}"),
    ],
)
def test_an_address_as_the_kernel_prints_it(address: int, text: str) -> None:
    assert kallsyms.sprint_symbol(address) == text


def test_a_short_form() -> None:
    assert kallsyms.sprint_short(TEXT + 0x110) == "sys_read+0x10"


def test_a_return_address_is_told_by_the_call_before_it() -> None:
    """The call may be the last instruction of its function."""
    assert kallsyms.sprint_backtrace(TEXT + 0x100) == "_stext+0x100/0x100"
    assert kallsyms.sprint_backtrace(END) == "last+0xe00/0xe00"


def test_names_alone() -> None:
    assert kallsyms.symbol_name(TEXT + 0x110) == "sys_read"
    assert kallsyms.symbol_name(END + 0x1234) == "some_data"
    assert kallsyms.symbol_name(TEXT - 1) == ""


def test_all_names_at_an_address() -> None:
    names = kallsyms.names_at(TEXT + 0x100)
    assert names == ["sys_read", "sys_pread64", "alias"]
    assert kallsyms.names_at(TEXT + 0x101) == []
    assert kallsyms.names_at(TEXT - 1) == []


def test_a_symbol_of_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    found = module.Symbol("init", MODULE + 0x10, MODULE + 0x50, "hello")
    monkeypatch.setattr(module, "module_address_lookup", lambda _: found)
    assert kallsyms.sprint_symbol(MODULE + 0x18) == "init+0x8/0x40 [hello]"
    assert kallsyms.symbol_name(MODULE + 0x18) == "init [hello]"
    monkeypatch.setattr(module, "module_address_lookup", lambda _: None)
    assert kallsyms.sprint_symbol(MODULE) == f"{MODULE:#x}"
    assert kallsyms.symbol_name(MODULE) == ""


@pytest.mark.parametrize(
    ("address", "is_text"),
    [
        (TEXT - 1, False),
        (TEXT, True),
        (END - 1, True),
        (END, False),
        (0xFFFF_FFFF_9FFF_FFFF, False),
        (0xFFFF_FFFF_A000_0000, True),
        (0xFFFF_FFFF_FEFF_FFFF, True),
        (0xFFFF_FFFF_FF00_0000, False),
    ],
)
def test_what_could_be_code(address: int, is_text: bool) -> None:
    assert kallsyms.is_kernel_text(address) == is_text


def test_code_of_a_kind(code: Guest) -> None:
    for name, address in (
        *(("__sched_text_start", TEXT + 0x10), ("__sched_text_end", TEXT + 0x20)),
        *(("__lock_text_start", TEXT + 0x30), ("__lock_text_end", TEXT + 0x40)),
        *(("__entry_text_start", TEXT + 0x50), ("__entry_text_end", TEXT + 0x60)),
        *(("_sinittext", END + 0x100), ("_einittext", END + 0x200)),
    ):
        code.layout.symbols[name] = [address, 0]
    sched = [at for at in range(0, 0x70, 8) if kallsyms.in_sched_functions(TEXT + at)]
    assert sched == [0x10, 0x18, 0x30, 0x38]
    entry = [at for at in range(0, 0x70, 8) if kallsyms.in_entry_text(TEXT + at)]
    assert entry == [0x50, 0x58]
    assert kallsyms.is_kernel_text(END + 0x1FF)
    assert not kallsyms.is_kernel_text(END + 0xFF)
