# SPDX-License-Identifier: GPL-2.0-only
"""The file that the kernel's symbols come from, and what it has of the kernel.

All of it can be asked before the kernel is loaded and mapped.
"""

from __future__ import annotations

import re

import gdb

from . import elffile, hostfiles, settings, structs
from .memory import Fault

BANNER = b"Linux version "


def file_contents(address: int, size: int) -> bytes:
    """Bytes at a link address as the vmlinux file has them.

    Works before the kernel is loaded and mapped. Raises Fault outside the file, and
    gdb.GdbError if it is no such file any more.
    """
    name = path()
    try:
        with hostfiles.opened(name) as file:
            found = elffile.parse(file).contents(address, size)
    except (hostfiles.Unfit, elffile.BadElf) as why:
        raise gdb.GdbError(
            f"{name}, which the symbols are from, cannot be read: {why}."
        ) from None
    if not found:
        raise Fault(address, "not in vmlinux")
    return found


def path() -> str:
    """The path of the file that the kernel's symbols come from."""
    return gdb.lookup_global_symbol("linux_banner").symtab.objfile.filename


@structs.cached
def banner_of_symbols() -> bytes:
    """linux_banner as the vmlinux file has it. Raises gdb.GdbError if it is not there."""
    try:
        banner = file_contents(structs.address_of("linux_banner"), 512)
    except Fault:
        banner = b""
    if not banner.startswith(BANNER):
        raise gdb.GdbError(
            "The symbols are not at the addresses of vmlinux: load them without an "
            "offset, as `file PATH/TO/vmlinux` does."
        )
    return banner.split(b"\0")[0]


def instructions(function: str) -> list[tuple[int, str, str]]:
    """Address, operation and operands of each instruction of a function.

    From vmlinux, so it works before the kernel is loaded and mapped. Raises
    gdb.error where there is no such function.
    """
    before = "on" if gdb.parameter("trust-readonly-sections") else "off"
    gdb.execute("set trust-readonly-sections on", to_string=True)
    try:
        with settings.needed():
            listing = gdb.execute(f"disassemble '{function}'", to_string=True)
    finally:
        gdb.execute(f"set trust-readonly-sections {before}", to_string=True)
    lines = re.findall(r"(0x[0-9a-f]+) <[^>]*>:\t(\S+) *(.*)", listing)
    return [(int(address, 16), name, operands) for address, name, operands in lines]


def release() -> str:
    """The version of the kernel the symbols belong to: uname -r."""
    found = re.match(rb"Linux version (\S+)", banner_of_symbols())
    return found.group(1).decode() if found else ""
