# SPDX-License-Identifier: GPL-2.0-only
"""Orders, splits, hashed pointers and members at an offset: what needs no kernel."""

from __future__ import annotations

from typing import Callable

import pytest

from lab.arrays import np
from lab.linux import kmalloc, page_alloc, printk
from lab.target import members
from lab.target.types import CType, Field, Kind


@pytest.mark.parametrize(
    ("size", "order"),
    [
        (1, 0),
        (4096, 0),
        (4097, 1),
        (131072, 5),
        (131073, 6),
        (135168, 6),
        (4 << 20, 10),
    ],
)
def test_get_order(size: int, order: int) -> None:
    assert kmalloc.get_order(size) == order


def test_expand() -> None:
    """The request gets the lowest part; each upper half goes back, the largest first."""
    assert list(page_alloc.expand(0x800, 8, 5)) == [(0x880, 7), (0x840, 6), (0x820, 5)]
    assert list(page_alloc.expand(0x800, 5, 5)) == []
    halves = list(page_alloc.expand(0, 10, 0))
    assert sum(1 << order for _, order in halves) + 1 == 1 << 10


def test_siphash() -> None:
    """The reference vector of SipHash-2-4 for the bytes 0 to 7, with the key 0 to 15."""
    key = (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)
    words = np.array([0x0706_0504_0302_0100, 0], np.uint64)
    first, other = printk.siphash_1u64(words, key)
    assert int(first) == 0x93F5_F579_9A93_2462 and other != first


def struct(name: str, size: int, *fields: Field) -> CType:
    """A made-up structure."""
    return CType(Kind.STRUCT, name, size, _fields=lambda: fields)


INT = CType(Kind.INT, "int", 4, signed=True)
NAME = CType(Kind.ARRAY, "char [8]", 8, count=8, _element=lambda: CHAR)
CHAR = CType(Kind.CHAR, "char", 1)
INNER = struct(
    "struct inner", 8, Field("a", 0, 0, INT, "int"), Field("b", 32, 0, INT, "int")
)
PAIRS = CType(Kind.ARRAY, "struct inner [2]", 16, count=2, _element=lambda: INNER)
UNION = CType(
    Kind.UNION,
    "",
    8,
    _fields=lambda: (
        Field("small", 0, 0, INT, "int"),
        Field("large", 0, 0, INNER, "struct inner"),
    ),
)
OUTER = struct(
    "struct outer",
    48,
    Field("flag", 0, 3, INT, "int"),
    Field("name", 64, 0, NAME, "char [8]"),
    Field("", 128, 0, UNION, ""),
    Field("pairs", 192, 0, PAIRS, "struct inner [2]"),
)


@pytest.mark.parametrize(
    ("offset", "path"),
    [
        (0, "flag"),
        (4, ""),  # padding
        (8, "name[0]"),
        (15, "name[7]"),
        (16, "small"),
        (20, "large.b"),  # the first member of the union does not reach so far
        (24, "pairs[0].a"),
        (36, "pairs[1].b"),
        (40, ""),
        (99, ""),
    ],
)
def test_the_member_at_an_offset(
    offset: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Callable[[str], CType] = lambda name: OUTER
    monkeypatch.setattr(members.structs, "lookup_type", found)
    assert members.path_at("struct outer", offset) == path
