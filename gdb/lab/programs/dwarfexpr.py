# SPDX-License-Identifier: GPL-2.0-only
"""DWARF expressions (DWARF 5, chapter 2.5) as far as call frames use them.

The bytes may be the guest's: what cannot be read raises Unknown, and takes no longer
than bytes that can.
"""

from __future__ import annotations

import struct
from typing import Callable, NamedTuple

MASK = 2**64 - 1
MOST_BYTES = 16  # of a LEB128 number; 64 bits take 10


class Unknown(Exception):
    """Something is not known, or cannot be read: says what."""


class Reader:
    """Reads DWARF's numbers from bytes, one after the other. Raises Unknown at the end."""

    def __init__(self, data: bytes, place: int) -> None:
        self.data = data
        self.place = place

    def number(self, form: str) -> int:
        """A number of fixed size. Its form is a format of the module struct."""
        size = struct.calcsize(form)
        if not 0 <= self.place <= len(self.data) - size:
            raise Unknown("what was read ends too early")
        value: int
        (value,) = struct.unpack_from(form, self.data, self.place)
        self.place += size
        return value

    def uleb(self) -> int:
        """An unsigned LEB128 number."""
        return self._leb()[0]

    def sleb(self) -> int:
        """A signed LEB128 number."""
        value, bits = self._leb()
        return value - (1 << bits) if value >> (bits - 1) & 1 else value

    def _leb(self) -> tuple[int, int]:
        value = bits = 0
        for _ in range(MOST_BYTES):
            byte = self.number("<B")
            value |= (byte & 0x7F) << bits
            bits += 7
            if not byte & 0x80:
                return value, bits
        raise Unknown("a number has no end")

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > len(self.data) - self.place:
            raise Unknown("what was read ends too early")
        self.place += size
        return self.data[self.place - size : self.place]

    def block(self) -> bytes:
        """Bytes that follow their number, which is ULEB128."""
        return self.take(self.uleb())

    def string(self) -> bytes:
        """Bytes up to a NUL."""
        end = self.data.find(0, self.place)
        if end < 0:
            raise Unknown("a string has no end")
        text = self.data[self.place : end]
        self.place = end + 1
        return text


class Expression(NamedTuple):
    """An expression whose value is an address or a register's value."""

    code: bytes

    def value(
        self,
        registers: dict[int, int],
        read: Callable[[int], int],
        first: int | None = None,
    ) -> int:
        """Evaluate the expression. Raises Unknown, and what read() raises.

        :param registers: by their DWARF numbers
        :param read: reads the 64-bit word at an address
        :param first: what is on the stack at the start; None for an empty one
        """
        stack = [] if first is None else [first]
        reader = Reader(self.code, 0)
        try:
            while reader.place < len(self.code):
                _step(reader.number("<B"), reader, stack, registers, read)
            return stack[-1] & MASK
        except IndexError:
            raise Unknown("an expression takes more than there is") from None


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 & 1 else value


CONSTANTS = {
    **{0x03: "<Q", 0x08: "<B", 0x09: "<b", 0x0A: "<H", 0x0B: "<h"},
    **{0x0C: "<I", 0x0D: "<i", 0x0E: "<Q", 0x0F: "<q"},
}
BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: lambda a, b: a & b,
    0x1C: lambda a, b: a - b,
    0x1E: lambda a, b: a * b,
    0x21: lambda a, b: a | b,
    0x22: lambda a, b: a + b,
    0x24: lambda a, b: a << b if b < 64 else 0,
    0x25: lambda a, b: a >> b,
    0x27: lambda a, b: a ^ b,
    0x29: lambda a, b: int(a == b),
    0x2A: lambda a, b: int(_signed(a) >= _signed(b)),
    0x2B: lambda a, b: int(_signed(a) > _signed(b)),
    0x2C: lambda a, b: int(_signed(a) <= _signed(b)),
    0x2D: lambda a, b: int(_signed(a) < _signed(b)),
    0x2E: lambda a, b: int(a != b),
}


def _step(
    code: int,
    reader: Reader,
    stack: list[int],
    registers: dict[int, int],
    read: Callable[[int], int],
) -> None:
    """One operation."""
    if code in CONSTANTS:
        stack.append(reader.number(CONSTANTS[code]) & MASK)
    elif code in BINARY:
        right = stack.pop()
        stack.append(BINARY[code](stack.pop(), right) & MASK)
    elif 0x30 <= code <= 0x4F:  # DW_OP_lit0 to 31
        stack.append(code - 0x30)
    elif 0x70 <= code <= 0x8F:  # DW_OP_breg0 to 31
        if code - 0x70 not in registers:
            raise Unknown(f"register {code - 0x70} is not known")
        stack.append(registers[code - 0x70] + reader.sleb() & MASK)
    elif code == 0x06:  # DW_OP_deref
        stack.append(read(stack.pop()))
    elif code == 0x10:
        stack.append(reader.uleb() & MASK)
    elif code == 0x11:
        stack.append(reader.sleb() & MASK)
    elif code == 0x12:
        stack.append(stack[-1])
    elif code == 0x13:
        stack.pop()
    elif code == 0x23:
        stack.append(stack.pop() + reader.uleb() & MASK)
    else:
        raise Unknown(f"operation {code:#x} is not known")
