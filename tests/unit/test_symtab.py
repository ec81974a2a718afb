# SPDX-License-Identifier: GPL-2.0-only
"""The symbol table of an ELF file made up here: names that repeat, or end another one."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.target.elffile import EHDR, SHDR, SYM, BadElf
from lab.target.symtab import Symbol, Symtab

LOCAL, GLOBAL = 0, 1 << 4
NAMES = b"\0pcpu_hot\0jiffies\0twice\0.strtab\0.symtab\0"
SYMBOLS = (  # where its name starts, kind, section, address, size
    (0, LOCAL, 0, 0, 0),
    (NAMES.index(b"pcpu_hot"), GLOBAL, 1, 0x1000, 64),
    (NAMES.index(b"hot"), LOCAL, 1, 0x2000, 8),  # the linker lets it share the end
    (NAMES.index(b"twice"), LOCAL, 1, 0x3000, 4),
    (NAMES.index(b"jiffies"), GLOBAL, 1, 0x4000, 8),
    (NAMES.index(b"twice"), LOCAL, 1, 0x5000, 4),
)


def elf(names: bytes = NAMES) -> bytes:
    """A file with nothing but these symbols."""
    table = b"".join(
        SYM.pack(name, info, 0, section, address, size)
        for name, info, section, address, size in SYMBOLS
    )
    at = EHDR.size
    sections = [
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (NAMES.index(b".symtab"), 2, 0, 0, at, len(table), 2, 1, 8, SYM.size),
        (NAMES.index(b".strtab"), 3, 0, 0, at + len(table), len(names), 0, 0, 1, 0),
    ]
    head = EHDR.pack(
        *(b"\x7fELF\2\1\1" + bytes(9), 2, 62, 1, 0, 0, at + len(table) + len(names), 0),
        *(EHDR.size, 56, 0, SHDR.size, len(sections), 2),
    )
    return head + table + names + b"".join(SHDR.pack(*row) for row in sections)


@pytest.fixture
def table(tmp_path: Path) -> Symtab:
    file = tmp_path / "vmlinux"
    file.write_bytes(elf())
    return Symtab(str(file))


def test_a_symbol(table: Symtab) -> None:
    assert table.named("pcpu_hot") == [Symbol(0x1000, 64, True)]
    assert table.named("jiffies") == [Symbol(0x4000, 8, True)]


def test_a_name_that_ends_another_one(table: Symtab) -> None:
    assert table.named("hot") == [Symbol(0x2000, 8, False)]


def test_a_name_of_two_symbols(table: Symtab) -> None:
    assert [one.address for one in table.named("twice")] == [0x3000, 0x5000]


@pytest.mark.parametrize("name", ["", "pcpu", "jiffies_64", "ffies", "o", ".symtab"])
def test_no_such_symbol(table: Symtab, name: str) -> None:
    assert table.named(name) == []


def test_a_file_without_symbols(tmp_path: Path) -> None:
    file = tmp_path / "stripped"
    head = struct.pack("<16s3HI", b"\x7fELF\2\1\1" + bytes(9), 2, 62, 0, 1)
    file.write_bytes(head + bytes(EHDR.size))
    with pytest.raises(BadElf):
        Symtab(str(file))
