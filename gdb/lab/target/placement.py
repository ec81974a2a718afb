# SPDX-License-Identifier: GPL-2.0-only
"""Where the running kernel's memory is: three numbers that every read depends on.

The guest keeps them in phys_base, page_offset_base and __pgtable_l5_enabled, and in a
damaged guest they may be wrong. So they are not read by way of an earlier placement, and
a new one is believed only if two things follow from it: linux_banner is where it must
be, and the kernel's page tables map the direct map there.
"""

from __future__ import annotations

import struct
from typing import Iterator, NamedTuple

from . import structs
from .debugger import Missing
from .memory import START_KERNEL_MAP, Fault, Memory, Stub, read_stub
from .physical import Mapped

PAGE_OFFSETS = {  # __PAGE_OFFSET_BASE_L4 and _L5, by the levels of page tables
    4: 0xFFFF_8880_0000_0000,
    5: 0xFF11_0000_0000_0000,
}
PAGE_OFFSET_ALIGN = 1 << 30  # PUD_SIZE: kernel_randomize_memory(), arch/x86/mm/kaslr.c
PHYS_BASE_ALIGN = 2 << 20  # PMD_SIZE: __startup_64(), arch/x86/kernel/head64.c
WORD = struct.Struct("<Q")


class Placement(NamedTuple):
    """Where the image and the direct map are, and how many levels translate."""

    phys_base: int  # physical address of the image less its link address
    page_offset: int  # where the direct map starts
    levels: int


def place(guest: Memory, placement: Placement) -> None:
    """Read by this placement from now on."""
    guest.phys_base, guest.page_offset, guest.levels = placement
    guest.image = range(structs.address_of("_text"), structs.address_of("_end"))
    pgd = structs.address_of("init_top_pgt") - START_KERNEL_MAP
    guest.kernel_pgd = pgd + placement.phys_base
    if isinstance(guest.physical, Stub):
        guest.physical.page_offset = placement.page_offset


def still_holds(physical: Stub | Mapped, placement: Placement, banner: bytes) -> bool:
    """Is a placement found earlier still right at this stop?

    Through the stub that takes one packet: there the processor's own page tables lead to
    the banner, and neither levels nor phys_base change unless the direct map moves too.
    """
    guest = _placed(physical, placement)
    return _has_banner(guest, banner) and (
        isinstance(physical, Stub) or _maps_banner(guest)
    )


def find(physical: Stub | Mapped, banner: bytes) -> Placement | None:
    """The right placement.

    None while the kernel has not settled, or if too much is damaged to find it.
    """
    for phys_base in dict.fromkeys(_phys_bases()):
        for page_offset, levels in dict.fromkeys(_direct_maps(phys_base, physical)):
            placement = Placement(phys_base, page_offset, levels)
            guest = _placed(physical, placement)
            if _has_banner(guest, banner) and _maps_banner(guest):
                return placement
    return None


def default() -> Placement:
    """The placement of a kernel that nothing has moved, until more is known."""
    return Placement(0, PAGE_OFFSETS[4], 4)


def _placed(physical: Stub | Mapped, placement: Placement) -> Memory:
    """Memory to try a placement with."""
    guest = Memory(Stub() if isinstance(physical, Stub) else physical)
    place(guest, placement)
    return guest


def _banner_place(guest: Memory) -> int:
    """The physical address of linux_banner."""
    return structs.address_of("linux_banner") - START_KERNEL_MAP + guest.phys_base


def _has_banner(guest: Memory, banner: bytes) -> bool:
    try:
        buffer, offset = guest.physical.locate(_banner_place(guest), len(banner))
    except Fault:
        return False
    return buffer[offset : offset + len(banner)] == banner


def _maps_banner(guest: Memory) -> bool:
    """Do the page tables, walked by a placement, map the direct map where it has it?"""
    where = _banner_place(guest)
    try:
        return guest.translate(guest.kernel_pgd, guest.page_offset + where) == where
    except Fault:
        return False


def _phys_bases() -> Iterator[int]:
    """What phys_base may be: 0, as PVH and nokaslr leave it, or what the guest says."""
    yield 0
    try:
        found = WORD.unpack(read_stub(structs.address_of("phys_base"), WORD.size))[0]
    except (Fault, Missing):
        return
    if found % PHYS_BASE_ALIGN == 0:
        yield found


def _direct_maps(phys_base: int, physical: Stub | Mapped) -> Iterator[tuple[int, int]]:
    """Where the direct map may start, and with how many levels."""
    yield from ((offset, levels) for levels, offset in PAGE_OFFSETS.items())
    if not structs.has_symbol("page_offset_base"):
        return
    variable = structs.address_of("page_offset_base")
    try:
        if isinstance(physical, Stub):
            data = read_stub(variable, WORD.size)
        else:
            where = variable - START_KERNEL_MAP + phys_base
            buffer, offset = physical.locate(where, WORD.size)
            data = buffer[offset : offset + WORD.size]
    except Fault:
        return
    found = WORD.unpack(data)[0]
    if found % PAGE_OFFSET_ALIGN == 0 and 1 << 63 <= found < START_KERNEL_MAP:
        yield from ((found, levels) for levels in PAGE_OFFSETS)
