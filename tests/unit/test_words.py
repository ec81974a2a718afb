# SPDX-License-Identifier: GPL-2.0-only
"""Numbers, errors, flags and names of the guest as text."""

from __future__ import annotations

import errno

import pytest

from lab import printable, sizes
from lab.linux import errno as errors, vmflags
from lab.reports.addresses import canonical
from lab.target.debugger import Refused


@pytest.mark.parametrize(
    ("size", "exact", "rough"),
    [
        (0, "0 B", "0 B"),
        (1023, "1023 B", "1023 B"),
        (1024, "1 KiB", "1 KiB"),
        (1025, "1025 B", "1 KiB"),
        (132 << 10, "132 KiB", "132 KiB"),
        (5 << 28, "1280 MiB", "1.25 GiB"),
        ((127 << 40) + 1, "139637976727553 B", "127 TiB"),
        (1 << 63, "8 EiB", "8 EiB"),
    ],
)
def test_sizes(size: int, exact: str, rough: str) -> None:
    assert sizes.size_text(size) == exact and sizes.rough_size(size) == rough


def test_counted() -> None:
    texts = [
        sizes.counted(0, "area"),
        sizes.counted(1, "area"),
        sizes.counted(1234, "area"),
    ]
    assert texts == ["0 areas", "1 area", "1,234 areas"]
    assert sizes.counted(2, "process", "processes") == "2 processes"


@pytest.mark.parametrize(
    ("register", "as_int", "as_long"),
    [
        (0, 0, 0),
        (0xFFFF_FFFF, -1, 0xFFFF_FFFF),
        (0xFFFF_FFFF_FFFF_FFF2, -14, -14),
        (0x1234_5678_8000_0000, -(1 << 31), 0x1234_5678_8000_0000),
        (0x7FFF_FFFF, 0x7FFF_FFFF, 0x7FFF_FFFF),
    ],
)
def test_registers_as_numbers(register: int, as_int: int, as_long: int) -> None:
    assert errors.to_int(register) == as_int and errors.to_long(register) == as_long


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_by_its_name(number: int) -> None:
    assert errors.result_text(-number) == errno.errorcode[number]
    assert errors.error_text(-number).startswith(f"{errno.errorcode[number]}, ")


def test_what_is_no_error() -> None:
    assert [errors.result_text(value) for value in (0, 7, -4096)] == ["0", "7", "-4096"]
    assert errors.result_text(-512) == "ERESTARTSYS"
    assert errors.result_text(-4095) == "-4095"


def test_every_flag_has_a_bit_of_its_own() -> None:
    bits = [flag.bit for flag in vmflags.FLAGS]
    assert len(set(bits)) == len(bits) == len({flag.name for flag in vmflags.FLAGS})


@pytest.mark.parametrize(
    ("flags", "codes"),
    [
        (0, ()),
        (0x73, ("rd", "wr", "mr", "mw", "me")),
        (0x100173, ("rd", "wr", "mr", "mw", "me", "gd", "ac")),
        (1 << 32, ()),
        (1 << 60, ("??",)),
    ],
)
def test_codes_of_smaps(flags: int, codes: tuple[str, ...]) -> None:
    assert vmflags.flag_codes(flags) == codes


@pytest.mark.parametrize(
    ("flags", "text"),
    [(0, "---p"), (1, "r--p"), (7, "rwxp"), (0x83, "rw-s"), (0xB, "rw-p")],
)
def test_permissions(flags: int, text: str) -> None:
    assert vmflags.permissions(flags) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"plain", "plain"),
        (b"\x1b[31m", r"\x1b[31m"),
        (b"two\nlines\t", r"two\nlines\t"),
        (b"back\\slash", r"back\\slash"),
        (rb"\x1b", r"\\x1b"),
        (b"\xff", r"\xff"),
        ("\u202e".encode(), r"\u202e"),
        ("\U000e0041".encode(), r"\U000e0041"),
        ("b\u00e4r".encode(), "b\u00e4r"),
        (b"\x7f\x00", r"\x7f\x00"),
    ],
)
def test_names_of_the_guest(name: bytes, text: str) -> None:
    assert printable.text_of(name) == text
    assert printable.printable(text) == text


def test_no_two_names_have_one_text() -> None:
    names = [bytes([byte]) for byte in range(256)] + [
        rb"\x%02x" % byte for byte in range(256)
    ]
    assert len({printable.text_of(name) for name in names}) == len(names)


def test_quoted() -> None:
    assert printable.quoted('say "hi"', 99) == r'"say \"hi\""'
    assert printable.quoted(r"\x1b\x1b\x1b", 2) == r'"\x1b\x1b"...'


@pytest.mark.parametrize("levels", [4, 5])
def test_addresses_that_the_processor_takes(levels: int) -> None:
    bits = 12 + 9 * levels
    for address in (0, (1 << bits - 1) - 1, (1 << 64) - (1 << bits - 1), (1 << 64) - 1):
        assert canonical(address, levels) == address
    for address in (1 << bits - 1, (1 << 64) - (1 << bits - 1) - 1, 1 << 63):
        with pytest.raises(Refused, match="is not canonical"):
            canonical(address, levels)
