# SPDX-License-Identifier: GPL-2.0-only
"""The 1048 bytes of segment_info(2): each byte belongs to one field."""

from __future__ import annotations

import random

import pytest

from lab.check import payload
from lab.check.payload import FIELDS, SIZE, Area

WORDS = {name: 0x1000 * number for number, name in enumerate(payload.WORDS, 1)}
AREAS = [Area(0x1000 * i, 0x1000 * i + 0x800, b"name %d" % i) for i in range(1, 25)]


def test_the_size_is_the_abi_s() -> None:
    assert SIZE == 1048 and len(FIELDS) == 83


def test_every_byte_belongs_to_one_field() -> None:
    owners = [0] * SIZE
    for field in FIELDS:
        for at in range(field.offset, field.offset + field.size):
            owners[at] += 1
    assert owners == [1] * SIZE


@pytest.mark.parametrize("count", [0, 1, 15, 24])
def test_what_is_encoded_is_decoded(count: int) -> None:
    data = payload.encode(WORDS, AREAS[:count])
    words, areas = payload.decode(data)
    assert words == WORDS
    padded = [
        Area(area.vm_start, area.vm_end, area.name.ljust(24, b"\0")) for area in AREAS
    ]
    assert areas == padded[:count] + [Area(0, 0, bytes(24))] * (24 - count)


def test_equal_payloads_differ_nowhere() -> None:
    data = payload.encode(WORDS, AREAS)
    assert payload.compare(data, bytes(data), "kernel") == []


@pytest.mark.parametrize("seed", range(20))
def test_no_flipped_bit_goes_unnoticed(seed: int) -> None:
    """It is reported for the field that it is in, and only for that."""
    source = random.Random(seed)
    data = payload.encode(WORDS, AREAS)
    at = source.randrange(SIZE)
    wrong = bytearray(data)
    wrong[at] ^= 1 << source.randrange(8)
    (found,) = payload.compare(data, bytes(wrong), "delivered")
    (field,) = [
        field for field in FIELDS if field.offset <= at < field.offset + field.size
    ]
    assert (found.copy, found.field, found.offset) == (
        "delivered",
        field.name,
        field.offset,
    )
    assert found.expected == field.value(data) and found.found == field.value(
        bytes(wrong)
    )
