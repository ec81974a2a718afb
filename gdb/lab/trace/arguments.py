# SPDX-License-Identifier: GPL-2.0-only
"""Arguments of a system call, by the types and names the kernel's source gives them.

SYSCALL_DEFINEx() (include/linux/syscalls.h) makes __do_sys_NAME() with the true
types. gcc inlines it, and lists the arguments of an inlined function backwards.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Callable

import gdb

from .. import files, layout, mm, registers, task
from ..memory import Broken, Fault
from . import flags

STRING_LIMIT = 48  # characters of a string that are shown
PATH_MAX = 4096
DESCRIPTORS = ("fd", "dfd", "olddfd", "newdfd", "oldfd", "fildes", "in_fd", "out_fd")
AT_FDCWD = -100  # include/uapi/linux/fcntl.h


@dataclass(frozen=True)
class Parameter:
    """One parameter of a system call."""

    name: str
    type: str  # as C has it
    size: int  # bytes
    signed: bool
    pointer: bool

    @property
    def is_string(self) -> bool:
        return self.type == "const char *"


@layout.cached
def parameters(function: str) -> tuple[Parameter, ...]:
    """The parameters of a system call, () where the debug info has none.

    function is its name without a prefix: "openat", of __do_sys_openat().
    """
    name = f"__do_sys_{function}"
    try:
        (place, *_) = gdb.decode_line(name)[1] or ()
    except (gdb.error, ValueError):
        return ()  # a call without parameters has only its wrapper
    block = gdb.block_for_pc(place.pc)
    while block is not None and (block.function is None or block.function.name != name):
        block = block.superblock
    if block is None:
        return ()
    found = [_parameter(one) for one in block if one.is_argument]
    if found and found[0].type == "const struct pt_regs *":
        return ()
    stands_alone = gdb.lookup_static_symbol(name) or gdb.lookup_global_symbol(name)
    return tuple(found if stands_alone else reversed(found))


def _parameter(symbol: gdb.Symbol) -> Parameter:
    kind = symbol.type.strip_typedefs()
    is_number = kind.code in layout.SCALARS
    return Parameter(
        symbol.name,
        str(symbol.type),
        kind.sizeof,
        is_number and kind.code != gdb.TYPE_CODE_BOOL and kind.is_signed,
        kind.code == gdb.TYPE_CODE_PTR,
    )


@dataclass(frozen=True)
class Argument:
    """A parameter and what was passed for it."""

    name: str
    value: int
    text: str  # decoded for a person


class Decoder:
    """Decodes the arguments of one task's call."""

    def __init__(self, address: int, root: int) -> None:
        """Parameters: struct task_struct *, struct path * to tell names from."""
        self.task = task.task(address)
        self.root = root

    def arguments(self, function: str, regs: registers.Registers) -> list[Argument]:
        """All arguments of a call. Raises nothing: what is unreadable says so."""
        values = registers.syscall_get_arguments(regs)
        known = parameters(function)
        found = []
        for one, raw in zip(known, values):
            value = _cut(raw, one)
            found.append(Argument(one.name, value, self._text(function, one, value)))
        return found

    def _text(self, function: str, one: Parameter, value: int) -> str:
        if one.is_string:
            return self._string(value)
        if one.pointer:
            return f"{value:#x}" if value else "NULL"
        if one.name in DESCRIPTORS and _as_int(value) >= -AT_FDCWD * -1:
            return self._descriptor(_as_int(value))
        names = flags.names(function, one.name)
        if names is not None:
            return names(value)
        if one.size == 8 and not one.signed and value >= 1 << 16:
            return f"{value:#x}"
        return str(value)

    def _string(self, address: int) -> str:
        """A string of the program's, as far as it is present in memory."""
        if not address:
            return "NULL"
        text = b""
        try:
            while b"\0" not in text and len(text) < PATH_MAX:
                step = 64 - (address + len(text)) % 64
                text += mm.access_process_vm(self.task.mm, address + len(text), step)
        except Fault:
            return f"{address:#x} (not in memory yet)"
        shown = text.split(b"\0")[0].decode("utf-8", "backslashreplace")
        if len(shown) > STRING_LIMIT:
            return f'"{shown[:STRING_LIMIT]}"...'
        return f'"{shown}"'

    def _descriptor(self, number: int) -> str:
        if number == AT_FDCWD:
            return "AT_FDCWD"
        if number < 0:
            return str(number)
        try:
            table = files.files_of(self.task.address)
            for one in files.for_each_file(table, self.root) if table else ():
                if one.fd == number:
                    return f"{number}<{one.path}>"
        except (Fault, Broken):
            pass  # the table is being changed: its number is enough
        return str(number)


def _cut(raw: int, one: Parameter) -> int:
    """A register as a value of the parameter's type."""
    bits = 8 * one.size
    value = raw & (1 << bits) - 1
    return value - (1 << bits) if one.signed and value >> (bits - 1) else value


def _as_int(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - (value >> 31 << 32)


def result_text(value: int, is_pointer: bool) -> str:
    """What a call returned, signed: a number, an address, or an error by name."""
    if -4096 < value < 0:
        return RESTARTS.get(-value) or errno.errorcode.get(-value, str(value))
    return f"{value & (1 << 64) - 1:#x}" if is_pointer else str(value)


# Of the kernel itself, never seen by the program: include/linux/errno.h
RESTARTS = {
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    516: "ERESTART_RESTARTBLOCK",
}
Names = Callable[[int], str]
