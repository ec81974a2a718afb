# SPDX-License-Identifier: GPL-2.0-only
"""Arguments of a system call in words."""

from __future__ import annotations

import pytest
from areas import space
from mounted import Mounted
from tasks import Tasks
from test_maps import table

from lab.linux import registers, syscalls
from lab.linux.structs.x86 import PtRegs
from lab.target.debugger import Argument as CArgument
from lab.target.files_debugger import FilesDebugger
from lab.target.types import CType, Kind
from made_up import PAGE, USER, Guest

TEXT = 0x7000_0000_0FC0  # of the program: where its strings are, with a page behind
INT, LONG = ("int", 4, True), ("long", 8, True)
UNSIGNED, SIZE = ("unsigned int", 4, False), ("size_t", 8, False)
STRING, POINTER = ("const char *", 8, False), ("struct stat *", 8, False)


def argument(name: str, kind: tuple[str, int, bool]) -> CArgument:
    """Make a parameter as the debug info has it."""
    c_name, size, signed = kind
    what = Kind.POINTER if c_name.endswith("*") else Kind.INT
    return CArgument(name, c_name, CType(what, c_name, size, signed))


CALLS = {
    "openat": [("dfd", INT), ("filename", STRING), ("flags", INT), ("mode", UNSIGNED)],
    "write": [("fd", UNSIGNED), ("buf", STRING), ("count", SIZE)],
    "newstat": [("filename", STRING), ("statbuf", POINTER)],
    "lseek": [("fd", UNSIGNED), ("offset", LONG), ("whence", UNSIGNED)],
    "mystery": [("first", UNSIGNED), ("second", SIZE)],
}


@pytest.fixture
def decoder(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> syscalls.Decoder:
    """One for a task with two pages of memory and one open file, descriptor 1."""

    def arguments_of(_: FilesDebugger, function: str) -> list[CArgument]:
        kind, call = function[:9], function[9:]
        known = [argument(*parameter) for parameter in CALLS.get(call, [])]
        # gcc lists those of an inlined function backwards
        return known if kind == "__se_sys_" else known[::-1]

    monkeypatch.setattr(FilesDebugger, "arguments_of", arguments_of)
    disk, pgd = Mounted(guest), guest.table()
    mm = space(guest, (TEXT & -PAGE, (TEXT & -PAGE) + 2 * PAGE)).mm
    guest.set("struct mm_struct", mm, "pgd", guest.page_offset + pgd)
    frames = guest.room(2 * PAGE, PAGE)
    for number in range(2):
        place = guest.physical(frames) + number * PAGE
        guest.map(pgd, (TEXT & -PAGE) + number * PAGE, place, USER)
    guest.write(frames + TEXT % PAGE, b"/etc/a\nb\0" + b"y" * 300)
    opened = table(guest, [0, disk.file(b"log")], 1 << 1)
    task = Tasks(guest).process(7, mm=mm, files=opened)
    return syscalls.Decoder(task, disk.root)


def told(decoder: syscalls.Decoder, call: str, *values: int) -> list[str]:
    """The arguments of a call as text."""
    passed = [value % (1 << 64) for value in values]
    named = dict.fromkeys(registers.NAMES, 0) | dict(zip(registers.ARGUMENTS, passed))
    regs = PtRegs.holding(**named)
    return [argument.text for argument in decoder.arguments(call, regs)]


def test_a_path_and_flags(decoder: syscalls.Decoder) -> None:
    assert told(decoder, "openat", -100, TEXT, 0o102, 0o644) == [
        *("AT_FDCWD", r'"/etc/a\nb"', "O_RDWR|O_CREAT", "0644"),
    ]


def test_what_a_register_has_above_an_int_is_ignored(decoder: syscalls.Decoder) -> None:
    found = told(decoder, "openat", 0xFFFF_FFFF_0000_0001, 0, 0xDEAD_0000_0000, 0)
    assert found == ["1</log>", "NULL", "O_RDONLY", "0"]


def test_descriptors(decoder: syscalls.Decoder) -> None:
    for number, text in ((1, "1</log>"), (0, "0"), (99, "99"), (-1, "-1")):
        assert told(decoder, "openat", number, 0, 0, 0)[0] == text


def test_a_text_is_as_long_as_another_parameter_says(decoder: syscalls.Decoder) -> None:
    assert told(decoder, "write", 1, TEXT + 5, 1)[1] == '"a"'
    assert told(decoder, "write", 1, TEXT + 9, 0)[1] == '""'


def test_a_text_that_is_cut(decoder: syscalls.Decoder) -> None:
    """It goes across a page, and only its beginning is shown."""
    found = told(decoder, "write", 1, TEXT + 9, 200)[1]
    assert found.count("y") == 48 and found != '"' + "y" * 48 + '"'
    exact = told(decoder, "write", 1, TEXT + 9, 48)[1]
    assert exact == '"' + "y" * 48 + '"'


def test_a_string_at_the_end_of_memory(decoder: syscalls.Decoder) -> None:
    end = (TEXT & -PAGE) + 2 * PAGE
    assert told(decoder, "newstat", end - 1, 0) == ['""', "NULL"]
    for address in (end, 0x1234, 0xFFFF_8880_0000_0000):
        text = told(decoder, "newstat", address, 0x7F)[0]
        assert text == f"{address:#x} (not in memory)"


def test_numbers(decoder: syscalls.Decoder) -> None:
    assert told(decoder, "lseek", 1, -5, 2) == ["1</log>", "-5", "2"]
    assert told(decoder, "mystery", -1, 0xFFFF) == ["4294967295", "65535"]
    assert told(decoder, "mystery", 1 << 16, 1 << 16) == ["65536", "0x10000"]
    assert told(decoder, "newstat", 0, 0x1234) == ["NULL", "0x1234"]


def test_a_call_that_the_debug_info_does_not_know(decoder: syscalls.Decoder) -> None:
    assert told(decoder, "unknown", 1, 2, 3) == []
