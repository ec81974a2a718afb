# SPDX-License-Identifier: GPL-2.0-only
"""A module that is being loaded, and who is told: intact ones and damaged ones."""

from __future__ import annotations

import pytest

from lab.linux import kallsyms, load_info, notifier
from lab.linux.load_info import RELA
from lab.linux.structs.lib import LoadInfo
from lab.target import structs
from lab.target.elffile import EHDR, MAGIC, SHDR, SYM
from lab.target.memory import Broken, Fault
from made_up import Guest

PC32, POINTER = 2, 1  # R_X86_64_PC32, R_X86_64_64
WILD = 0xDEAD_BEEF_0000_0000
NAMES = b"\0.text\0.rela.text\0.symtab\0.strtab\0"
STRINGS = b"\0printk\0weak\0here\0"
TEXT, RELOCATIONS, SYMBOLS, NAMES_OF_SYMBOLS = 1, 2, 3, 4


class Loading:
    """A module of one section with two relocations, as load_module() has it in memory."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.text, self.symbols = guest.room(64), guest.room(4 * SYM.size)
        self.printk = 0xFFFF_FFFF_8100_0000
        table = [(0, 0, 0), (1, 0x10, self.printk), (8, 0x20, 0), (13, 0x10, 0)]
        raw = [SYM.pack(name, how, 0, 0, value, 0) for name, how, value in table[:3]]
        raw.append(SYM.pack(13, 0x10, 0, TEXT, self.text, 0))
        guest.write(self.symbols, b"".join(raw))
        relas = [(0, 1, PC32, -4), (8, 3, POINTER, 16)]
        self.relas = guest.room(len(relas) * RELA.size)
        packed = [RELA.pack(at, sym << 32 | kind, add) for at, sym, kind, add in relas]
        guest.write(self.relas, b"".join(packed))
        distance = (self.printk - 4 - self.text) % (1 << 32)
        guest.write(self.text, distance.to_bytes(4, "little"))
        guest.write(self.text + 8, (self.text + 16).to_bytes(8, "little"))
        self.file = guest.room(4096)
        head = (MAGIC, 1, 62, 1, 0, 0, 0, 0, EHDR.size, 0, 0, SHDR.size, 5, 0)
        guest.write(self.file, EHDR.pack(MAGIC + bytes([2, 1, 1]), *head[1:]))
        guest.write(self.file + 1024, STRINGS)
        self.headers = guest.room(5 * SHDR.size)
        self.section(TEXT, name=1, sh_flags=2, address=self.text, size=64)
        self.section(RELOCATIONS, name=7, address=self.relas, size=48, info=TEXT)
        self.section(SYMBOLS, name=18, address=self.symbols, size=96, link=4)
        self.section(NAMES_OF_SYMBOLS, name=26, offset=1024, size=len(STRINGS))
        known = {"hdr": self.file, "len": 4096, "sechdrs": self.headers}
        known |= {"secstrings": guest.string(NAMES), "index.sym": SYMBOLS}
        self.place = guest.put("struct load_info", known)

    def section(
        self,
        number: int,
        name: int,
        sh_flags: int = 0,
        address: int = 0,
        offset: int = 0,
        size: int = 0,
        link: int = 0,
        info: int = 0,
    ) -> None:
        raw = SHDR.pack(name, 1, sh_flags, address, offset, size, link, info, 0, 0)
        self.guest.write(self.headers + number * SHDR.size, raw)

    def info(self) -> LoadInfo:
        return load_info.load_info(self.place)

    def relocations(self, number: int = RELOCATIONS) -> load_info.Relocations:
        found = self.info()
        return load_info.relocations(found, load_info.sections(found), number)

    def undefined(self) -> list[load_info.Undefined]:
        found = self.info()
        return list(load_info.undefined(found, load_info.sections(found)))


@pytest.fixture
def loading(guest: Guest) -> Loading:
    return Loading(guest)


def test_sections(loading: Loading) -> None:
    found = load_info.sections(loading.info())
    assert [section.name for section in found[1:]] == NAMES.decode().split("\0")[1:5]
    assert found[TEXT].address == loading.text and found[TEXT].size == 64


def test_symbols(loading: Loading) -> None:
    """One that is found, and one that may be missing; the third is the module's own."""
    printk, weak = loading.undefined()
    assert (printk.name, printk.value) == ("printk", loading.printk)
    assert (weak.name, weak.value, weak.is_weak) == ("weak", 0, True)


def test_relocations(loading: Loading) -> None:
    found = loading.relocations()
    assert (found.section, found.total, found.wrong) == (".text", 2, 0)
    assert found.by_kind == {"R_X86_64_PC32": 1, "R_X86_64_64": 1}


@pytest.mark.parametrize("place", [0, 8])
def test_a_relocation_that_is_not_applied(loading: Loading, place: int) -> None:
    loading.guest.write(loading.text + place, b"\x55")
    assert loading.relocations().wrong == 1


@pytest.mark.parametrize("what", [99 << 32 | PC32, 1 << 63 | POINTER])
def test_a_relocation_by_no_symbol(loading: Loading, what: int) -> None:
    loading.guest.write(loading.relas, RELA.pack(0, what, 0))
    assert loading.relocations().wrong == 1


def test_a_relocation_outside_of_its_section(loading: Loading) -> None:
    loading.guest.write(loading.relas, RELA.pack(1 << 60, 1 << 32 | PC32, 0))
    assert loading.relocations().wrong == 1


def test_damaged_sections(loading: Loading) -> None:
    for number in (5, 0xFFFF_FFFF):
        with pytest.raises(Broken, match="relocations for no section"):
            loading.relocations(number)
    loading.section(RELOCATIONS, name=7, address=loading.relas, size=48, info=99)
    with pytest.raises(Broken, match="relocations for no section"):
        loading.relocations()
    loading.section(RELOCATIONS, name=7, address=WILD, size=1 << 60, info=TEXT)
    with pytest.raises(Fault):
        loading.relocations()
    loading.section(TEXT, name=1, address=loading.text, size=1 << 60)
    with pytest.raises(Broken, match="bytes"):
        loading.relocations()


def test_damaged_symbols(loading: Loading) -> None:
    loading.section(SYMBOLS, name=18, address=loading.symbols, size=96, link=77)
    with pytest.raises(Broken, match="have no names"):
        loading.undefined()
    loading.section(SYMBOLS, name=18, address=loading.symbols, size=1 << 60, link=4)
    with pytest.raises(Broken, match="symbols"):
        loading.undefined()
    loading.section(SYMBOLS, name=18, address=WILD, size=96, link=4)
    with pytest.raises(Fault):
        loading.undefined()
    loading.guest.set("struct load_info", loading.place, "index.sym", 1000)
    with pytest.raises(Broken, match="has its symbols in 1000"):
        loading.undefined()


def test_a_damaged_file(loading: Loading) -> None:
    loading.guest.write(loading.file, b"\0\0\0\0")
    with pytest.raises(Broken, match="it is no ELF file"):
        load_info.sections(loading.info())


# --- Notifiers ------------------------------------------------------------------


def chain(guest: Guest, count: int) -> tuple[int, list[int]]:
    """Make a chain of so many notifiers."""
    blocks = [guest.put("struct notifier_block") for _ in range(count)]
    for number, (block, after) in enumerate(zip(blocks, [*blocks[1:], 0])):
        guest.set("struct notifier_block", block, "next", after)
        guest.set("struct notifier_block", block, "notifier_call", 0x1000 + number)
    head = guest.room(64)
    inside = structs.offsetof("struct blocking_notifier_head", "head")
    guest.write(head + inside, blocks[0].to_bytes(8, "little"))
    return head, blocks


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address has a name."""
    monkeypatch.setattr(kallsyms, "symbol_name", lambda address: "")


@pytest.mark.usefixtures("nameless")
def test_notifiers(guest: Guest) -> None:
    head, _ = chain(guest, 3)
    assert list(notifier.functions_of(head)) == ["0x1000", "0x1001", "0x1002"]


@pytest.mark.usefixtures("nameless")
def test_notifiers_in_a_cycle(guest: Guest) -> None:
    head, blocks = chain(guest, 3)
    guest.set("struct notifier_block", blocks[2], "next", blocks[1])
    with pytest.raises(Broken, match="are a cycle"):
        list(notifier.functions_of(head))


@pytest.mark.usefixtures("nameless")
def test_a_notifier_that_cannot_be_read(guest: Guest) -> None:
    head, blocks = chain(guest, 3)
    guest.set("struct notifier_block", blocks[1], "next", WILD)
    with pytest.raises(Fault):
        list(notifier.functions_of(head))
