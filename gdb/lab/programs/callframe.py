# SPDX-License-Identifier: GPL-2.0-only
"""Call frame information: how to get from a function's registers to its caller's.

The section .eh_frame, as the x86-64 psABI and DWARF 5, chapter 6.4, describe it.
pyelftools would decode all functions, which takes seconds for a static program; this
decodes just the one that is asked for. The bytes may come from the guest: a function whose
entry cannot be read counts as unknown, and what no compiler emits stops the reading before
it takes long.
"""

from __future__ import annotations

import bisect
import functools
import struct
from dataclasses import dataclass, field
from typing import Any, Callable

from .dwarfexpr import Expression, Reader, Unknown

# Encodings of an address: DW_EH_PE_*, Linux Standard Base, chapter 10.5
FORMATS = {0x0: "<Q", 0x2: "<H", 0x3: "<I", 0x4: "<Q", 0xA: "<h", 0xB: "<i", 0xC: "<q"}
PC_RELATIVE = 0x10
OMITTED = 0xFF

LEAST_ENTRY = 8  # bytes after an entry's length
MOST_ENTRIES = 1_000_000  # a browser has some hundred thousand
MOST_CIES = 10_000
MAX_CIE = 1024  # bytes; some tens are usual
MAX_PROGRAM = 64 * 1024  # bytes of a function's instructions
MOST_KEPT = 64  # rows remembered at once
MOST_REGISTERS = 128  # x86-64 psABI, figure 3.36: 0 to 125

# How a register of the caller is found, by the rule's name:
#   offset N       saved at CFA + N        val_offset N   is CFA + N
#   register R     is in register R        same           is unchanged
#   expression E   saved at E              val_expression E   is E
#   undefined      cannot be known
Rule = tuple[Any, ...]
UNDEFINED = ("undefined",)
SAME = ("same",)


@dataclass
class Cie:
    """What several functions share: a Common Information Entry."""

    code_align: int
    data_align: int
    return_register: int
    encoding: int = 0
    has_sizes: bool = False  # of augmentation data, in each function's entry
    is_signal: bool = False  # the frame that the kernel makes for a handler
    program: bytes = b""


@dataclass
class Row:
    """The rules at one instruction."""

    cfa: Rule = UNDEFINED  # ("register", R, N) or ("expression", E)
    rules: dict[int, Rule] = field(default_factory=dict)

    def copy(self) -> Row:
        return Row(self.cfa, dict(self.rules))


@dataclass(frozen=True)
class Frame:
    """The rules for one place in a function."""

    row: Row
    return_register: int
    is_signal: bool


class CallFrames:
    """The functions that a section .eh_frame describes.

    :param data: the section's bytes
    :param address: its link address
    """

    def __init__(self, data: bytes, address: int) -> None:
        self.data = data
        self.address = address
        self._cies: dict[int, Cie] = {}
        found = sorted(self._functions())
        self._starts = [start for start, _, _ in found]
        self._found = found

    @functools.lru_cache(1024)
    def find(self, pc: int) -> Frame | None:
        """The rules at a link address, None if no function is known there."""
        index = bisect.bisect_right(self._starts, pc) - 1
        if index < 0:
            return None
        start, end, place = self._found[index]
        if pc >= end:
            return None
        try:
            cie, program = self._entry(place)
            first = _Machine(cie, Row())
            first.run(cie.program, None)
            machine = _Machine(cie, first.row.copy())
            machine.run(program, pc - start)
        except Unknown:
            return None
        return Frame(machine.row, cie.return_register, cie.is_signal)

    def _functions(self) -> list[tuple[int, int, int]]:
        """Start and end of each function that can be read, and where its entry is."""
        found, place = [], 0
        for _ in range(MOST_ENTRIES):
            if place + 8 > len(self.data):
                break
            length, cie = struct.unpack_from("<II", self.data, place)
            if length < LEAST_ENTRY:
                break  # 0 is the end
            if cie:  # else a CIE itself
                try:
                    reader = Reader(self.data, place + 8)
                    encoding = self._cie(place + 4 - cie).encoding
                    start = self._address(reader, encoding)
                    size = self._address(reader, encoding & 0xF)
                    if size:
                        found.append((start, start + size, place))
                except Unknown:
                    pass
            place += 4 + length
        return found

    def _entry(self, place: int) -> tuple[Cie, bytes]:
        """The CIE and the instructions of one function."""
        length, back = struct.unpack_from("<II", self.data, place)
        cie = self._cie(place + 4 - back)
        reader = Reader(self.data, place + 8)
        self._address(reader, cie.encoding)
        self._address(reader, cie.encoding & 0xF)
        if cie.has_sizes:
            reader.take(reader.uleb())
        program = self.data[reader.place : place + 4 + length]
        if len(program) > MAX_PROGRAM:
            raise Unknown("a function has too many instructions")
        return cie, program

    def _address(self, reader: Reader, encoding: int) -> int:
        place = reader.place
        if encoding & 0xF not in FORMATS:
            raise Unknown(f"encoding {encoding:#x} is not known")
        value = reader.number(FORMATS[encoding & 0xF])
        if encoding & 0x70 == PC_RELATIVE:
            value += self.address + place
        return value & 2**64 - 1

    def _cie(self, place: int) -> Cie:
        if place not in self._cies:
            if len(self._cies) == MOST_CIES:
                raise Unknown("there are too many CIEs")
            self._cies[place] = self._parse_cie(place)
        return self._cies[place]

    def _parse_cie(self, place: int) -> Cie:
        length = Reader(self.data, place).number("<I")
        if length > MAX_CIE:
            raise Unknown("a CIE is too large")
        reader = Reader(self.data[place : place + 4 + length], 8)
        version = reader.number("<B")
        letters = reader.string()
        code_align, data_align = reader.uleb(), reader.sleb()
        register = reader.number("<B") if version == 1 else reader.uleb()
        cie = Cie(code_align, data_align, register)
        if letters.startswith(b"z"):
            cie.has_sizes = True
            size = reader.uleb()
            self._augment(cie, letters[1:], Reader(reader.data, reader.place))
            reader.take(size)
        cie.program = reader.data[reader.place :]
        return cie

    def _augment(self, cie: Cie, letters: bytes, reader: Reader) -> None:
        for letter in letters.decode("latin-1"):
            if letter == "R":
                cie.encoding = reader.number("<B")
            elif letter == "P":
                self._address(reader, reader.number("<B"))
            elif letter == "L":
                reader.number("<B")
            elif letter == "S":
                cie.is_signal = True


class _Machine:
    """Runs call frame instructions up to a place in the function."""

    def __init__(self, cie: Cie, row: Row) -> None:
        self.cie = cie
        self.row = row
        self.first = row.copy()
        self.kept: list[Row] = []

    def run(self, program: bytes, until: int | None) -> None:
        """Run a program.

        :param until: where to stop, in bytes from the function's start; None runs all
        """
        reader, at = Reader(program, 0), 0
        while reader.place < len(program):
            code = reader.number("<B")
            kind, low = code & 0xC0, code & 0x3F
            step = None
            if kind == 0x40:
                step = low
            elif kind == 0x80:  # DW_CFA_offset
                self._set(low, "offset", reader.uleb() * self.cie.data_align)
            elif kind == 0xC0:  # DW_CFA_restore
                self._restore(low)
            elif code in ADVANCES:
                step = reader.number(ADVANCES[code])
            elif code in INSTRUCTIONS:
                INSTRUCTIONS[code](self, reader)
            else:
                raise Unknown(f"instruction {code:#x} is not known")
            if step is not None:
                at += step * self.cie.code_align
                if until is not None and at > until:
                    return

    def _set(self, register: int, *rule: object) -> None:
        if register >= MOST_REGISTERS:
            raise Unknown(f"register {register} is not known")
        self.row.rules[register] = rule

    def _restore(self, register: int) -> None:
        if register in self.first.rules:
            self.row.rules[register] = self.first.rules[register]
        else:
            self.row.rules.pop(register, None)

    def _define(self, register: int, offset: int) -> None:
        self.row.cfa = ("register", register, offset)

    def _redefine(self, register: int | None, offset: int | None) -> None:
        """Change the register or the offset of the CFA's rule; None keeps it."""
        if self.row.cfa[0] != "register":
            raise Unknown("the frame's address is in no register")
        _, before, by = self.row.cfa
        self._define(
            before if register is None else register, by if offset is None else offset
        )

    def _keep(self) -> None:
        if len(self.kept) == MOST_KEPT:
            raise Unknown("too many rows are remembered")
        self.kept.append(self.row.copy())

    def _recall(self) -> None:
        if not self.kept:
            raise Unknown("no row was remembered")
        self.row = self.kept.pop()


def _scaled(name: str) -> Callable[[_Machine, Reader], None]:
    """A rule whose offset counts data_align bytes."""

    def run(machine: _Machine, reader: Reader) -> None:
        register = reader.uleb()
        machine._set(register, name, reader.uleb() * machine.cie.data_align)

    return run


def _scaled_signed(name: str) -> Callable[[_Machine, Reader], None]:
    def run(machine: _Machine, reader: Reader) -> None:
        register = reader.uleb()
        machine._set(register, name, reader.sleb() * machine.cie.data_align)

    return run


def _expression(name: str) -> Callable[[_Machine, Reader], None]:
    def run(machine: _Machine, reader: Reader) -> None:
        register = reader.uleb()
        machine._set(register, name, Expression(reader.block()))

    return run


def _define_expression(machine: _Machine, reader: Reader) -> None:
    machine.row.cfa = ("expression", Expression(reader.block()))


ADVANCES = {0x02: "<B", 0x03: "<H", 0x04: "<I"}  # DW_CFA_advance_loc1, 2, 4
INSTRUCTIONS: dict[int, Callable[[_Machine, Reader], object]] = {
    0x00: lambda m, r: None,  # DW_CFA_nop
    0x05: _scaled("offset"),
    0x06: lambda m, r: m._restore(r.uleb()),
    0x07: lambda m, r: m._set(r.uleb(), "undefined"),
    0x08: lambda m, r: m._set(r.uleb(), "same"),
    0x09: lambda m, r: m._set(r.uleb(), "register", r.uleb()),
    0x0A: lambda m, r: m._keep(),
    0x0B: lambda m, r: m._recall(),
    0x0C: lambda m, r: m._define(r.uleb(), r.uleb()),
    0x0D: lambda m, r: m._redefine(r.uleb(), None),
    0x0E: lambda m, r: m._redefine(None, r.uleb()),
    0x0F: _define_expression,
    0x10: _expression("expression"),
    0x11: _scaled_signed("offset"),
    0x12: lambda m, r: m._define(r.uleb(), r.sleb() * m.cie.data_align),
    0x13: lambda m, r: m._redefine(None, r.sleb() * m.cie.data_align),
    0x14: _scaled("val_offset"),
    0x15: _scaled_signed("val_offset"),
    0x16: _expression("val_expression"),
    0x2E: lambda m, r: r.uleb(),  # DW_CFA_GNU_args_size
}
