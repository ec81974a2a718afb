# SPDX-License-Identifier: GPL-2.0-only
"""What the lab asks about the stopped machine, whether gdb or files alone hold it.

One implementation is in use at a time. gdb_debugger.py asks gdb; files_debugger.py answers
from a RAM or core file and a vmlinux, without gdb. Nothing else in the rooms target, linux,
programs and dump knows which of them it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .physical import Mapped
from .symbols import Missing, Symbols
from .types import CType

__all__ = ["Missing"]  # raised by the methods below


class Refused(Exception):
    """The lab cannot do what it was asked for: one sentence that says what to do next."""


@dataclass(frozen=True)
class Line:
    """A place in the source, from the debug info; empty where it has none."""

    path: str  # as the compiler recorded it
    line: int
    function: str  # the innermost one, which may be inlined into the symbol's


@dataclass(frozen=True)
class Caller:
    """The caller of the function a processor is in, from call frame information."""

    ip: int
    bp: int
    sp: int  # just above the return address


@dataclass(frozen=True)
class Argument:
    """An argument of a C function."""

    name: str
    type_name: str  # as C has it
    type: CType


@dataclass(frozen=True)
class Instruction:
    """One instruction of a function."""

    address: int
    operation: str
    operands: str


class Debugger(Symbols, Protocol):
    """Memory, registers, symbols and types of a stopped machine."""

    @property
    def is_connected(self) -> bool:
        """Is there a machine to ask about?"""

    @property
    def vmlinux(self) -> str:
        """The path of the file that the kernel's symbols come from. Raises Missing."""

    # --- The machine -----------------------------------------------------------

    def read_memory(self, address: int, size: int) -> bytes:
        """Bytes at a virtual address as the stopped CPU sees it. Raises memory.Fault."""

    def physical(self) -> Mapped | None:
        """All of the guest's RAM, if there is a file of it. Raises Refused, OSError."""

    def threads(self) -> list[int]:
        """The numbers of the processors, lowest first."""

    def selected_thread(self) -> int:
        """The number of the selected processor."""

    def register(self, name: str) -> int:
        """A register of the selected processor, unsigned 64 bits. Raises Missing."""

    def registers(self, thread: int, names: tuple[str, ...]) -> dict[str, int]:
        """Registers of a processor as unsigned 64-bit numbers. Raises Missing."""

    def caller(self, thread: int) -> Caller | None:
        """Who called the function a processor is in, None if that cannot be told."""

    def say(self, remark: str) -> None:
        """Tell the person, in a sentence, what the lab does unasked."""

    # --- Symbols and types -------------------------------------------------------

    def evaluate(self, expression: str) -> int:
        """The value of a C expression, unsigned 64 bits. Raises Refused with the reason."""

    def line_of(self, address: int) -> Line:
        """The source line of an instruction."""

    def symbol_at(self, address: int) -> str:
        """NAME+OFFSET from the loaded symbols, "" if none has the address."""

    def arguments_of(self, function: str) -> list[Argument]:
        """The arguments of a function, even if it is inlined; [] if there is none."""

    def instructions(self, function: str) -> list[Instruction]:
        """The code of a function, from vmlinux. Raises Missing."""


_current: Debugger | None = None


def use(implementation: Debugger | None) -> None:
    """Set the implementation that is asked from now on."""
    global _current
    _current = implementation


def debugger() -> Debugger:
    """The implementation in use. Raises Refused if there is none."""
    if _current is None:
        raise Refused("There is no debugger and no core file: open one first.")
    return _current
