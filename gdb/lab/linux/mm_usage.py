# SPDX-License-Identifier: GPL-2.0-only
"""How much an address space holds: areas, mapped pages, page tables."""

from __future__ import annotations

from dataclasses import dataclass

from ..target import kernel
from ..target.cstruct import Ptr
from ..target.memory import PAGE_PRESENT, PAGE_PROTNONE, PAGE_SIZE
from . import mm as mm_, pagewalk, vma
from .pgtable import PAGE_RW
from .structs.mm_types import MmStruct
from .vmflags import VM_MAYWRITE, VM_SHARED


@dataclass(frozen=True)
class Space:
    """What an address space held at one moment."""

    users: int  # mm_users: the tasks that run in it, and whoever holds it for a moment
    count: int  # mm_count: references to the mm_struct; all users are one
    tables: int  # bytes of page tables
    areas: dict[int, int]  # where each starts, and its vm_flags
    mapped: dict[int, int]  # where each starts, and its mapped pages, of PAGE_SIZE,
    # those that PROT_NONE forbids among them: they are in RSS, are copied and freed
    writable: dict[int, int]  # entries of private areas: address, number of pages
    read_only: dict[int, int]

    @property
    def pages(self) -> int:
        """All mapped pages."""
        return sum(self.mapped.values())

    def with_flag(self, flag: int) -> list[int]:
        """Where the areas with a flag of vm_flags start."""
        return [start for start, flags in self.areas.items() if flags & flag]


def mm_users(mm: Ptr[MmStruct]) -> int:
    """mm->mm_users: the tasks that run in it, and what get_task_mm() took.

    :param mm: struct mm_struct *
    :raises Fault: what it takes cannot be read
    """
    return MmStruct(kernel.memory(), mm).mm_users


def space(mm: Ptr[MmStruct]) -> Space:
    """Look at all areas and all page-table entries.

    :param mm: struct mm_struct *
    :raises Broken, Fault: a list or tree is damaged, or cannot be read
    """
    read, pgd = MmStruct(kernel.memory(), mm), mm_.pgd_of(mm)
    areas: dict[int, int] = {}
    writable: dict[int, int] = {}
    read_only: dict[int, int] = {}
    mapped: dict[int, int] = {}
    for area in vma.for_each_vma(mm):
        areas[area.vm_start] = area.vm_flags
        mapped[area.vm_start] = 0
        private = is_cow_mapping(area.vm_flags)
        for address, size, _, entry in pagewalk.walk_page_range(
            pgd, area.vm_start, area.vm_end
        ):
            if not entry & (PAGE_PRESENT | PAGE_PROTNONE):  # pte_present()
                continue
            count = size // PAGE_SIZE
            mapped[area.vm_start] += count
            if private:
                (writable if entry & PAGE_RW else read_only)[address] = count
    return Space(
        read.mm_users,
        read.mm_count,
        read.pgtables_bytes or 0,
        areas,
        mapped,
        writable,
        read_only,
    )


def is_cow_mapping(flags: int) -> bool:
    """Is a page of such an area copied when it is written to? See mm/internal.h."""
    return flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE
