# SPDX-License-Identifier: GPL-2.0-only
"""Damage the guest's memory for a while."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from support.witnessed import Moment

WILD = 0x0000_1234_5678_9ABC  # no address of the kernel
NON_CANONICAL = 0x1234_5678_9ABC_DEF0
FREED = 0x6B6B_6B6B_6B6B_6B6B  # what freed memory is filled with
VALUES = {
    "NULL": 0,
    "one": 1,
    "wild": WILD,
    "not canonical": NON_CANONICAL,
    "freed": FREED,
    "list poison": 0xDEAD_0000_0000_0100,
    "last page": 0xFFFF_FFFF_FFFF_F000,
}


@contextmanager
def changed(moment: Moment, place: str, value: int) -> Iterator[None]:
    """Change a word of the guest, given by an expression, for the time of a with block."""
    address = int(moment.gdb(f"output/x (unsigned long)&({place})"), 16)
    before = moment.gdb(f"output/x *(unsigned long *){address:#x}")
    moment.gdb(f"set var *(unsigned long *){address:#x} = {value:#x}")
    try:
        yield
    finally:
        moment.gdb(f"set var *(unsigned long *){address:#x} = {before}")
