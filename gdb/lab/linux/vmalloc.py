# SPDX-License-Identifier: GPL-2.0-only
"""The vmalloc region: mm/vmalloc.c."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Broken, Fault
from . import lists
from .structs.lib import ListHead
from .structs.vmalloc import VmapArea, VmStruct

MOST_AREAS = 1 << 20  # ends a list without an end
# What /proc/vmallocinfo calls the bits, then those it does not name: vmalloc.h
FLAGS = {
    **{0x1: "ioremap", 0x2: "vmalloc", 0x4: "vmap", 0x8: "user", 0x10: "dma-coherent"},
}
MORE_FLAGS = {
    **{0x20: "VM_UNINITIALIZED", 0x40: "VM_NO_GUARD", 0x80: "VM_KASAN"},
    **{0x100: "VM_FLUSH_RESET_PERMS", 0x200: "VM_MAP_PUT_PAGES"},  # v5.10: b944afc9d64d
    0x400: "VM_ALLOW_HUGE_VMAP",  # since v5.18 (559089e0a93d)
}
VM_ALLOC = 0x2
VM_NO_GUARD = 0x40
structs.expect("vmap_area_list", "vmap_purge_list", "purge_vmap_area_list")


@dataclass(frozen=True)
class Area:
    """A range of the region."""

    area: VmapArea
    vm: VmStruct | None  # None for vm_map_ram(), and for what is not purged yet
    is_purged_soon: bool


def for_each_vmap_area() -> Iterator[Area]:
    """All ranges in use by address, then those that are not purged yet.

    Raises Broken where the list is damaged, memory.Fault.
    """
    if not structs.has_symbol("vmap_area_list"):
        raise Broken(
            "since v6.9 (d093602919ad) there is no list of all areas, but a tree for each "
            "node, which the lab does not read"
        )
    guest = kernel.memory()
    head = Ptr[ListHead](structs.address_of("vmap_area_list"))
    read, read_vm = VmapArea.reader(guest), VmStruct.reader(guest)
    for place in lists.list_for_each_entry(head, VmapArea, "list"):
        area = read(place)
        try:
            vm = read_vm(area.vm) if area.vm else None
        except Fault as fault:
            raise Broken(f"the area at {place:#x} has no vm_struct: {fault}") from None
        yield Area(area, vm, False)
    for place in _purged_soon():
        yield Area(VmapArea(guest, place), None, True)


def _purged_soon() -> Iterator[Ptr[VmapArea]]:
    """Given back, but not flushed from the TLBs: show_purge_info()."""
    if structs.has_symbol("purge_vmap_area_list"):  # since v5.11 (96e2db456135)
        head = Ptr[ListHead](structs.address_of("purge_vmap_area_list"))
        yield from lists.list_for_each_entry(head, VmapArea, "list")
        return
    guest, inside = kernel.memory(), structs.offsetof("struct vmap_area", "purge_list")
    here = guest.u64(structs.address_of("vmap_purge_list"))
    seen: set[int] = set()
    while here:
        if here in seen or len(seen) > MOST_AREAS:
            raise Broken(
                f"the list of areas to purge is a cycle: {here:#x} comes again"
            )
        seen.add(here)
        yield Ptr[VmapArea](here - inside)
        try:
            here = guest.u64(here)
        except Fault as fault:
            raise Broken(f"the list of areas to purge is cut: {fault}") from None
