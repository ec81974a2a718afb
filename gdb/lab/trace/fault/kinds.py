# SPDX-License-Identifier: GPL-2.0-only
"""What resolved a page fault, told from the place before and after it.

The same effects in the same order as handle_pte_fault() in mm/memory.c decides:
an empty entry, one that stands for a page elsewhere, one that forbids writing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...linux import pgtable
from ...linux.structs.mm_types import VmAreaStruct
from ...linux.vmflags import VM_HUGETLB
from ...target import structs
from . import look
from .look import Access, Look


@dataclass(frozen=True)
class Kind:
    """One way to end a page fault."""

    name: str
    function: str  # of the kernel, where this is done
    meaning: str  # for the summary
    resolves: bool = True  # did the page-table entry become better?
    older: str = ""  # the function in kernels that do not have that one yet

    @property
    def done_in(self) -> str:
        """The function of this kernel. Most are inlined, and have no symbol."""
        if structs.has_symbol(self.function) or not structs.has_symbol(self.older):
            return self.function
        return self.older


ZERO = Kind("zero page", "do_anonymous_page", "read before any write: one page for all")
NEW = Kind("new page", "do_anonymous_page", "first write: a page of zeros")
STACK = Kind(
    "stack growth",
    "expand_stack_locked",  # v6.5, v6.1.37: 8d7071af8907
    "below the stack: it grows, and gets a page",
    older="expand_stack",
)
FILE = Kind("file page", "do_read_fault", "the page cache's own page, and those around")
COPY = Kind("private copy", "do_cow_fault", "first touch is a write: a copy at once")
SHARED = Kind("shared page", "do_shared_fault", "the page cache's own page, writable")
KERNELS = Kind("kernel page", "special_mapping_fault", "the kernel's page, as [vdso]")
COW = Kind("copy on write", "wp_page_copy", "somebody else uses the page: a copy")
REUSE = Kind("made writable", "wp_page_reuse", "nobody else has the page: no copy")
DIRTY = Kind("shared write", "wp_page_shared", "first write: the file's page is dirty")
HUGE = Kind("huge page", "do_huge_pmd_anonymous_page", "2 MiB at once")
HUGE_ZERO = Kind("huge zero page", "do_huge_pmd_anonymous_page", "2 MiB of zeros, read")
HUGE_REUSE = Kind(
    "huge page made writable",
    "do_huge_pmd_wp_page",
    "nobody else has the huge page: no copy",
)
HUGETLB = Kind("huge page of the pool", "hugetlb_no_page", "MAP_HUGETLB, hugetlbfs")
HUGETLB_COW = Kind(
    "huge page of the pool copied",
    "hugetlb_wp",  # v5.19: c89357e27f20
    "somebody else uses it: a copy of all of it",
    older="hugetlb_cow",
)
HUGETLB_REUSE = Kind(
    "huge page of the pool made writable",
    "hugetlb_wp",
    "nobody else has it: no copy",
    older="hugetlb_cow",
)
SWAP = Kind("swapped in", "do_swap_page", "the page was elsewhere")
MOVED = Kind("waited for a move", "migration_entry_wait", "the page was being moved")
NUMA = Kind("NUMA hint", "do_numa_page", "asks from which node it is used")
THERE = Kind(
    "already there", "handle_pte_fault", "resolved before it was handled", False
)
AGAIN = Kind("not yet", "do_user_addr_fault", "the instruction runs again", False)
SIGNAL = Kind("signal", "force_sig_fault", "the program gets a signal", False)
FIXUP = Kind(
    "fixup", "fixup_exception", "the kernel goes on: EFAULT, or another way", False
)
EMULATED = Kind(
    "emulated", "emulate_vsyscall", "a call of the old vsyscall page", False
)
KILLED = Kind("killed", "do_exit", "the task ends in the fault", False)

ALL = (
    *(ZERO, NEW, STACK, FILE, COPY, SHARED, KERNELS, COW, REUSE, DIRTY),
    *(HUGE, HUGE_ZERO, HUGE_REUSE, HUGETLB, HUGETLB_COW, HUGETLB_REUSE),
    *(SWAP, MOVED, NUMA, THERE, AGAIN),
    *(SIGNAL, FIXUP, EMULATED, KILLED),
)
ELSEWHERE = {"swap": SWAP, "migration": MOVED, "protnone": NUMA}


def kind_of(access: Access, before: Look, after: Look, ip: int) -> Kind:
    """What ended a fault that raised no signal.

    ip is where the instruction pointer of the interrupted code is afterwards.
    """
    if not access.from_user and ip != access.regs.ip:
        return FIXUP
    if access.address >= pgtable.USER_HALF:
        return EMULATED if access.from_user and ip != access.regs.ip else THERE
    if before.allows(access.verb):
        return THERE
    if before.is_present:
        return _of_present(before, after) if after.allows(access.verb) else AGAIN
    if not after.is_present:
        return AGAIN
    if before.entry is not None and before.entry.value:
        return ELSEWHERE.get(pgtable.kind(before.entry), SWAP)
    return _of_empty(access, before, after)


def area_of(before: Look, after: Look) -> VmAreaStruct | None:
    """The area of the address, or the stack below which it is."""
    return after.area if after.vma else before.area


def grown(before: Look, after: Look) -> int:
    """By how many bytes the stack grew down to the address."""
    old, new = before.area, after.area
    if before.vma or not after.vma or old is None or new is None:
        return 0
    return old.vm_start - new.vm_start if old.vm_end == new.vm_end else 0


def _of_present(before: Look, after: Look) -> Kind:
    """There was a page, but it could not be written.

    See do_wp_page(), do_huge_pmd_wp_page(), hugetlb_wp().
    """
    area = area_of(before, after)
    is_same = _same_frame(before.entry, after.entry)
    if area is not None and area.vm_flags & VM_HUGETLB:
        return HUGETLB_REUSE if is_same else HUGETLB_COW
    if not is_same:
        return COW
    if after.entry is not None and after.entry.level > 1:
        return HUGE_REUSE
    return DIRTY if area is not None and look.is_shared(area) else REUSE


def _same_frame(before: pgtable.Entry | None, after: pgtable.Entry | None) -> bool:
    """Is it the same frame, also if a huge page was split meanwhile?"""
    if before is None or after is None:
        return False
    return before.target <= after.target < before.target + before.size


def _of_empty(access: Access, before: Look, after: Look) -> Kind:
    """There was nothing, perhaps not even that much of the stack."""
    if grown(before, after):
        return STACK
    return came_of_empty(access, before, after)


def came_of_empty(access: Access, before: Look, after: Look) -> Kind:
    """What came where nothing was: do_anonymous_page(), do_fault()."""
    area = area_of(before, after)
    if area is not None and area.vm_flags & VM_HUGETLB:
        return HUGETLB
    if after.entry is not None and after.entry.level > 1:
        return HUGE_ZERO if after.use == "zero" else HUGE
    if after.use == "zero":
        return ZERO
    if after.use == "anonymous":
        return COPY if area is not None and area.vm_ops else NEW
    if area is None or not area.vm_file:
        return KERNELS
    return SHARED if access.verb == "write" else FILE
