# SPDX-License-Identifier: GPL-2.0-only
"""Parameters of modules and their values: include/linux/moduleparam.h, kernel/params.c."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Broken, Fault
from . import kallsyms
from .structs.lib import KernelParam, KparamArray, KparamString, Module

MOST_PARAMETERS = 4096  # ends a count that is damaged
MOST_VALUES = 1024
LONGEST = 1024  # bytes of a string's value
OPERATIONS = "param_ops_"
# By the end of param_ops_NAME: bytes, and whether it has a sign
INTEGERS = {
    **{"byte": (1, False), "short": (2, True), "ushort": (2, False)},
    **{"int": (4, True), "uint": (4, False), "long": (8, True), "ulong": (8, False)},
    **{"ullong": (8, False), "hexint": (4, False), "bint": (4, True)},
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a module."""

    name: str
    type: str  # as module_param() has it: int, bool, charp, "array of ulong", ...
    perm: int  # of its file in /sys/module/NAME/parameters; 0 if it has none
    value: str  # as that file shows it; "?" for a type of the module's own
    address: Ptr[object]  # of the variable


def parameters(module: Module) -> Iterator[Parameter]:
    """All parameters of a module. Raises Broken, memory.Fault."""
    if module.num_kp > MOST_PARAMETERS:
        raise Broken(f"a module with {module.num_kp} parameters")
    size = structs.sizeof("struct kernel_param")
    for number in range(module.num_kp):
        place = Ptr[KernelParam](module.kp + number * size)
        yield _parameter(KernelParam(kernel.memory(), place))


def _parameter(read: KernelParam) -> Parameter:
    guest = kernel.memory()
    name = text_of(guest.read_string(read.name, 256))
    kind = _type(read.ops)
    try:
        if kind == "array":
            return _array(read, name)
        if kind == "string":
            form = KparamString(guest, Ptr[KparamString](read.arg))
            value = _text(form.string, min(form.maxlen, LONGEST))
            return Parameter(name, kind, read.perm, value, form.string)
        return Parameter(name, kind, read.perm, value_of(kind, read.arg), read.arg)
    except Fault as fault:
        return Parameter(name, kind, read.perm, f"not known: {fault}", read.arg)


def _type(ops: Ptr[object]) -> str:
    """int, bool, array, ...: after the operations that read and write it."""
    name = kallsyms.symbol_name(ops)
    if name == "param_array_ops":
        return "array"
    return name.removeprefix(OPERATIONS) if name.startswith(OPERATIONS) else name or "?"


def _array(read: KernelParam, name: str) -> Parameter:
    """A parameter with several values: param_array_get(). Raises Fault."""
    guest = kernel.memory()
    form = KparamArray(guest, Ptr[KparamArray](read.arg))
    kind = _type(form.ops)
    count = form.max
    if form.num:
        count = min(int.from_bytes(guest.read(form.num, 4), "little"), form.max)
    shown = min(count, MOST_VALUES)
    values = [
        value_of(kind, Ptr[object](form.elem + number * form.elemsize))
        for number in range(shown)
    ]
    more = ",..." if shown < count else ""
    text = ",".join(values) + more
    return Parameter(name, f"array of {kind}", read.perm, text, form.elem)


def value_of(kind: str, place: Ptr[object]) -> str:
    """The value of a variable as sysfs shows it, "?" for other types. Raises Fault."""
    guest = kernel.memory()
    if kind in INTEGERS:
        size, signed = INTEGERS[kind]
        number = int.from_bytes(guest.read(place, size), "little", signed=signed)
        return f"{number:#08x}" if kind == "hexint" else str(number)
    if kind in ("bool", "invbool", "bool_enable_only"):
        return "NY"[bool(guest.read(place, 1)[0]) != (kind == "invbool")]
    if kind == "charp":
        text = Ptr[object](guest.u64(place))
        return _text(text, LONGEST) if text else "(null)"
    return "?"


def _text(place: Ptr[object], longest: int) -> str:
    return text_of(kernel.memory().read_string(place, longest))
