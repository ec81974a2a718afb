# SPDX-License-Identifier: GPL-2.0-only
"""The running kernel's memory.

There is one inferior, so there is one kernel: memory() is the way every walker
reads. It is made when first needed and forgotten when the connection ends.
"""

from __future__ import annotations

import os

import gdb

from . import placement, structs
from .memory import Memory, Stub
from .ram_file import RamFile, find_ram_file
from .unforeseen import handler
from .vmlinux import banner_of_symbols

_memory: Memory | None = None
_placement: placement.Placement | None = None  # as it was found last


def connect(socket: str) -> None:
    """Connect to the stub behind a unix socket, without a word.

    gdb would say where the processor is: at the reset vector, which it takes for
    whatever symbol comes before. Raises gdb.error.
    """
    folder, name = os.path.split(os.path.abspath(socket))
    before = os.getcwd()
    gdb.execute("set suppress-cli-notifications on")
    try:
        # By its last name, for gdb takes a path with a colon for a host and a port
        os.chdir(folder)
        gdb.execute(f"target remote {name}", to_string=True)
    finally:
        os.chdir(before)
        gdb.execute("set suppress-cli-notifications off")


def memory() -> Memory:
    """The stopped kernel's memory.

    Raises gdb.GdbError without a live target.
    """
    global _memory
    if _memory is None:
        inferior = gdb.selected_inferior()
        if not inferior.is_valid() or not inferior.threads():
            raise gdb.GdbError(
                "No kernel is connected: start one with `make debug`, or connect to "
                "the stub of another QEMU with `target remote`."
            )
        _memory = Memory(find_ram_file() or Stub())
        refresh()
    return _memory


def refresh() -> None:
    """Find again where the kernel's memory is, drop translations.

    What was found once is kept while nothing else is: the guest's own words for it may
    be damaged for a while. Paused before the kernel is mapped, the next stop finds it.
    """
    global _placement
    if _memory is None:
        return
    _memory.forget()
    if gdb.lookup_global_symbol("linux_banner") is None:
        return  # no kernel's symbols: nobody asks for its memory
    try:
        banner, physical = banner_of_symbols(), _memory.physical
    except gdb.GdbError:
        return  # check_running() says why
    if _placement is None or not placement.still_holds(physical, _placement, banner):
        _placement = placement.find(physical, banner) or _placement
    placement.place(_memory, _placement or placement.default())


def forget() -> None:
    """The connection ended or the symbols changed: start over."""
    global _memory, _placement
    _memory = _placement = None


def source() -> str:
    """Where reads come from, for the person: RAM file or debug stub."""
    return memory().physical.name


def is_fast() -> bool:
    """Do reads come from the RAM file?"""
    return isinstance(memory().physical, RamFile)


@handler("seginfo")
def _on_stop(event: object) -> None:
    refresh()


@handler("seginfo")
def _on_change(event: object) -> None:
    if _memory is not None:
        _memory.forget()


@handler("seginfo")
def _on_end(event: object) -> None:
    forget()


@handler("seginfo")
def _on_symbols(event: object) -> None:
    structs.forget()
    forget()


EVENTS = {
    "stop": _on_stop,
    "cont": _on_change,
    "memory_changed": _on_change,
    "exited": _on_end,
    "clear_objfiles": _on_symbols,
}


def watch(on: bool) -> None:
    """Follow gdb's events, so that no cache outlives what it was made from."""
    for name, function in EVENTS.items():
        registry = getattr(gdb.events, name)
        if on:
            registry.connect(function)
        else:
            registry.disconnect(function)
