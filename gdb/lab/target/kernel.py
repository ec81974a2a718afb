# SPDX-License-Identifier: GPL-2.0-only
"""The running kernel's memory.

There is one inferior, so there is one kernel: every walker reads through memory(),
which is made when first needed and forgotten when the connection ends.
"""

from __future__ import annotations

from typing import Callable

from . import placement, structs
from .debugger import Refused, debugger
from .memory import Memory, Stub
from .vmlinux import banner_of_symbols

_memory: Memory | None = None
_placement: placement.Placement | None = None  # the last one found


def memory() -> Memory:
    """The stopped kernel's memory. Raises Refused without a live target."""
    global _memory
    if _memory is None:
        if not debugger().is_connected:
            raise Refused(
                "No kernel is connected: start one with `make debug`, or connect to "
                "the stub of another QEMU with `target remote`."
            )
        _memory = Memory(debugger().physical() or Stub())
        refresh()
    return _memory


def read_int(symbol: str) -> int:
    """A variable of type int. Raises memory.Fault, Missing."""
    data = memory().read(structs.address_of(symbol), 4)
    return int.from_bytes(data, "little", signed=True)


def refresh() -> None:
    """Find the kernel's memory again, and drop cached translations.

    What was found is kept until something else is: the guest's own variables for it may
    be damaged for a while. If the kernel is not mapped yet, a later stop finds it.
    """
    global _placement
    if _memory is None:
        return
    _memory.forget()
    if not structs.has_symbol("linux_banner"):
        return  # without kernel symbols nobody asks for its memory
    try:
        banner, physical = banner_of_symbols(), _memory.physical
    except Refused:
        return  # check_running() says why
    if _placement is None or not placement.still_holds(physical, _placement, banner):
        _placement = placement.find(physical, banner) or _placement
    placement.place(_memory, _placement or placement.default())


def forget() -> None:
    """The connection ended or the symbols changed: start over."""
    global _memory, _placement
    _memory = _placement = None


def is_placed() -> bool:
    """Is it known where the kernel's memory is?"""
    return _placement is not None


def source() -> str:
    """What reads come from, RAM file or debug stub, for the person."""
    return memory().physical.name


def is_fast() -> bool:
    """Do reads come from the RAM file?"""
    return not isinstance(memory().physical, Stub)


def _on_stop(event: object) -> None:
    refresh()


def _on_change(event: object) -> None:
    if _memory is not None:
        _memory.forget()


def _on_end(event: object) -> None:
    forget()


def _on_symbols(event: object) -> None:
    structs.forget()
    forget()


# Called at gdb's events, so that no cache outlives what it was made from
EVENTS: dict[str, Callable[[object], None]] = {
    "stop": _on_stop,
    "cont": _on_change,
    "memory_changed": _on_change,
    "exited": _on_end,
    "clear_objfiles": _on_symbols,
}
