# SPDX-License-Identifier: GPL-2.0-only
"""The file that the kernel's symbols come from, and what it says about the kernel.

All of it is known even before the kernel is loaded and mapped.
"""

from __future__ import annotations

import re

from . import elffile, hostfiles, structs
from .debugger import Refused, debugger
from .memory import Fault

BANNER = b"Linux version "


def file_contents(address: int, size: int) -> bytes:
    """Bytes at a link address as the vmlinux file has them.

    :raises Fault: the file has nothing at that address
    :raises Refused: the file cannot be read any more
    """
    name = path()
    try:
        with hostfiles.opened(name) as file:
            found = elffile.parse(file).contents(address, size)
    except (hostfiles.Unfit, elffile.BadElf) as why:
        raise Refused(
            f"{name}, which the symbols are from, cannot be read: {why}."
        ) from None
    if not found:
        raise Fault(address, "not in vmlinux")
    return found


def path() -> str:
    """The path of the file that the kernel's symbols come from. Raises Missing."""
    return debugger().vmlinux


@structs.cached
def banner_of_symbols() -> bytes:
    """linux_banner as the vmlinux file has it. Raises Refused if it is not there."""
    try:
        banner = file_contents(structs.address_of("linux_banner"), 512)
    except Fault:
        banner = b""
    if not banner.startswith(BANNER):
        raise Refused(
            "The symbols are not at the addresses of vmlinux: load them without an "
            "offset, as `file PATH/TO/vmlinux` does."
        )
    return banner.split(b"\0")[0]


def release() -> str:
    """The version of the kernel the symbols belong to: uname -r."""
    found = re.match(rb"Linux version (\S+)", banner_of_symbols())
    return found.group(1).decode() if found else ""
