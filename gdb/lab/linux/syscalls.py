# SPDX-License-Identifier: GPL-2.0-only
"""Arguments of a system call, by the types and names the kernel's source gives them.

SYSCALL_DEFINEx() (include/linux/syscalls.h) makes __do_sys_NAME() with the true
types, and __se_sys_NAME() which takes all as long and calls it. gcc inlines both. It
lists the arguments of an inlined function backwards, those first that it does not use:
so only the list of the second one is in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from ..printable import quoted, text_of
from ..target import structs
from ..target.cstruct import Ptr
from ..target.debugger import Argument as CArgument, debugger
from ..target.memory import Broken, Fault
from ..target.types import Kind
from . import files, mm, registers, task, uapi_flags
from .errno import to_int
from .path import PATH_MAX
from .structs.fs import Path
from .structs.sched import TaskStruct
from .structs.x86 import PtRegs

STRING_LIMIT = 48  # characters of a string that are shown
STEP = 64  # bytes; divides a page, since the next page may not be there
LENGTHS = {"buf": "count"}  # text without a NUL: which parameter says how long it is
DESCRIPTORS = (
    "fd",
    "dfd",
    "olddfd",
    "newdfd",
    "oldfd",
    "newfd",
    "fildes",
    "in_fd",
    "out_fd",
)
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


@structs.cached
def parameters(function: str) -> tuple[Parameter, ...]:
    """The parameters of a system call, () where the debug info has none.

    function is its name without a prefix: "openat", of __do_sys_openat().
    """
    asked = debugger()
    arguments = asked.arguments_of(f"__do_sys_{function}")
    typed = {argument.name: _parameter(argument) for argument in arguments}
    order = [argument.name for argument in asked.arguments_of(f"__se_sys_{function}")]
    if set(order) != set(typed):
        return ()  # a call without parameters has only its wrapper
    return tuple(typed[name] for name in order)


def _parameter(argument: CArgument) -> Parameter:
    kind = argument.type
    return Parameter(
        argument.name,
        argument.type_name,
        kind.size,
        kind.signed,
        kind.kind is Kind.POINTER,
    )


@dataclass(frozen=True)
class Argument:
    """A parameter and what was passed for it."""

    name: str
    value: int
    text: str  # decoded for a person


class Decoder:
    """Decodes the arguments of one task's call."""

    def __init__(self, address: Ptr[TaskStruct], root: Ptr[Path]) -> None:
        """For a task, with the root directory from which names are told."""
        self.task = task.task(address)
        self.root = root

    def arguments(self, function: str, regs: PtRegs) -> list[Argument]:
        """All arguments of a call. Raises nothing: what is unreadable says so."""
        values = registers.syscall_get_arguments(regs)
        known = parameters(function)
        cut = {
            parameter.name: _cut(raw, parameter)
            for parameter, raw in zip(known, values)
        }
        found = []
        for parameter in known:
            text = self._text(function, parameter, cut)
            found.append(Argument(parameter.name, cut[parameter.name], text))
        return found

    def _text(self, function: str, parameter: Parameter, values: dict[str, int]) -> str:
        value = values[parameter.name]
        if parameter.is_string:
            return self._string(value, values.get(LENGTHS.get(parameter.name, "")))
        if parameter.pointer:
            return f"{value:#x}" if value else "NULL"
        if parameter.name in DESCRIPTORS:
            return self._descriptor(to_int(value))
        names = uapi_flags.names(function, parameter.name)
        if names is not None:
            return names(value & (1 << 8 * parameter.size) - 1)
        if parameter.size == 8 and not parameter.signed and value >= 1 << 16:
            return f"{value:#x}"
        return str(value)

    def _string(self, address: int, length: int | None) -> str:
        """A string of the program, as much of it as is in memory.

        To its NUL if no length is given.
        """
        if not address:
            return "NULL"
        text, most = b"", PATH_MAX if length is None else length
        try:
            while len(text) < min(most, STRING_LIMIT + 1):
                step = min(STEP - (address + len(text)) % STEP, most - len(text))
                text += mm.access_process_vm(self.task.mm, address + len(text), step)
                if length is None and b"\0" in text:
                    text = text.split(b"\0")[0]
                    break
        except Fault:
            return f"{address:#x} (not in memory)"
        return quoted(text_of(text), STRING_LIMIT)

    def _descriptor(self, number: int) -> str:
        if number == AT_FDCWD:
            return "AT_FDCWD"
        if number < 0:
            return str(number)
        try:
            table = files.files_of(self.task.address)
            for file in files.for_each_file(table, self.root) if table else ():
                if file.fd == number:
                    return f"{number}<{file.path}>"
        except (Fault, Broken):
            pass  # the table is being changed: its number is enough
        return str(number)


def _cut(raw: int, parameter: Parameter) -> int:
    """A register as a value of the parameter's type."""
    bits = 8 * parameter.size
    value = raw & (1 << bits) - 1
    return value - (1 << bits) if parameter.signed and value >> (bits - 1) else value


Names = Callable[[int], str]
