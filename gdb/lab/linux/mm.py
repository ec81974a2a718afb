# SPDX-License-Identifier: GPL-2.0-only
"""Address spaces: struct mm_struct (include/linux/mm_types.h)."""

from __future__ import annotations

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import START_KERNEL_MAP, Fault
from .structs.mm_types import MmStruct

BOUNDARIES = (
    "start_code",
    "end_code",
    "start_data",
    "end_data",
    "start_brk",
    "brk",
    "start_stack",
)


TOP_DOWN = "arch_get_unmapped_area_topdown"
BOTTOM_UP = "arch_get_unmapped_area"
MMF_TOPDOWN = 1 << 31
structs.expect(TOP_DOWN, BOTTOM_UP)


def mm_struct(address: Ptr[MmStruct]) -> MmStruct:
    """Read one. Raises Fault."""
    return MmStruct(kernel.memory(), address)


def flags_of(mm: MmStruct) -> int:
    """mm->flags: MMF_DUMPABLE_MASK and the bits of include/linux/sched/coredump.h."""
    return mm.flags if isinstance(mm.flags, int) else int.from_bytes(mm.flags, "little")


def is_topdown(mm: Ptr[MmStruct]) -> bool | None:
    """Does mmap() look for room below mmap_base, and not above, as the legacy layout has it?

    arch_pick_mmap_layout() in arch/x86/mm/mmap.c chooses. None if the mm does not tell.
    Raises memory.Fault.
    """
    read = mm_struct(mm)
    if read.get_unmapped_area is None:  # a flag instead since v6.10 (529ce23a764f)
        return bool(flags_of(read) & MMF_TOPDOWN)
    known = {
        structs.address_of(name): name == TOP_DOWN
        for name in (TOP_DOWN, BOTTOM_UP)
        if structs.has_symbol(name)
    }
    return known.get(read.get_unmapped_area)


def virt_to_phys(address: int) -> int:
    """__pa(): the physical address behind the direct map or the kernel image.

    See arch/x86/include/asm/page_64.h.
    """
    guest = kernel.memory()
    if address >= START_KERNEL_MAP:
        return address - START_KERNEL_MAP + guest.phys_base
    return address - guest.page_offset


def pgd_of(mm: Ptr[MmStruct]) -> int:
    """The physical address of the top page table."""
    return virt_to_phys(mm_struct(mm).pgd)


def mmap_lock(mm: Ptr[MmStruct]) -> int:
    """The struct rw_semaphore * of an address space."""
    return mm + structs.offsetof("struct mm_struct", "mmap_lock")


def access_process_vm(mm: Ptr[MmStruct], address: int, size: int) -> bytes:
    """Read user memory of any process, current or not.

    Named after access_process_vm() in mm/memory.c; reads what is present and never
    faults a page in. Raises memory.Fault, for the kernel's half too, which the same
    page tables map.

    :param mm: struct mm_struct *
    """
    if address >> 63:
        raise Fault(address, "in the kernel's half, which is not the process's")
    return kernel.memory().read_mapped(pgd_of(mm), address, size)
