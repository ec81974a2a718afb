# SPDX-License-Identifier: GPL-2.0-only
"""gfp_t, what a request of memory may do: include/linux/gfp.h, lib/vsprintf.c.

The bits change from kernel to kernel, and are macros, so not in the debug info. The kernel
has a table of them for %pGg: gfpflag_names[] in mm/debug.c.
"""

from __future__ import annotations

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from .structs.lib import TracePrintFlags

MOST_FLAGS = 100
MOVABLE_MASK, MOVABLE_SHIFT = 0x18, 3  # __GFP_RECLAIMABLE|__GFP_MOVABLE
UNMOVABLE = 0
structs.expect("gfpflag_names", "page_group_by_mobility_disabled")


def names() -> list[tuple[int, str]]:
    """gfpflag_names[]: masks and names, in the order in which they are tried.

    :raises Fault: the table cannot be read
    :raises Missing: this kernel has none
    """
    guest, found = kernel.memory(), []
    place = structs.address_of("gfpflag_names")
    size = structs.sizeof("struct trace_print_flags")
    for number in range(MOST_FLAGS):
        read = TracePrintFlags(guest, Ptr[TracePrintFlags](place + number * size))
        if not read.name:
            break
        found.append((read.mask, text_of(guest.read_string(read.name, 64))))
    return found


def format_flags(flags: int, known: list[tuple[int, str]]) -> str:
    """As %pGg prints them: GFP_KERNEL|__GFP_ZERO; bits without a name in hex.

    :param flags: gfp_t
    :param known: names()
    """
    found = []
    for mask, name in known:
        if mask and flags & mask == mask:
            found.append(name)
            flags &= ~mask
    return "|".join(found + [f"{flags:#x}"] * bool(flags)) or "none"


def gfp_migratetype(flags: int) -> int:
    """The migrate type of a request: enum migratetype. Raises memory.Fault.

    :param flags: gfp_t
    """
    disabled = "page_group_by_mobility_disabled"
    if structs.has_symbol(disabled):
        if kernel.memory().u64(structs.address_of(disabled)) & 0xFFFF_FFFF:
            return UNMOVABLE
    return (flags & MOVABLE_MASK) >> MOVABLE_SHIFT
