# SPDX-License-Identifier: GPL-2.0-only
"""vm_flags of an area: include/linux/mm.h, and their letters in /proc."""

from __future__ import annotations

import functools
from dataclasses import dataclass

VM_READ, VM_WRITE, VM_EXEC = 1, 2, 4
VM_SHARED, VM_MAYWRITE, VM_MAYSHARE = 0x8, 0x20, 0x80
VM_GROWSDOWN = 0x100
VM_SEQ_READ, VM_RAND_READ, VM_DONTCOPY = 0x8000, 0x1_0000, 0x2_0000
VM_HUGETLB, VM_WIPEONFORK = 0x40_0000, 0x200_0000


@dataclass(frozen=True)
class Flag:
    """One bit of vm_flags."""

    bit: int
    code: str  # the two letters of /proc/PID/smaps; "" where it shows none
    name: str
    meaning: str


# Macros, so not in the debug info. From 5.10 to 6.4 no bit changed its meaning:
# VM_DENYWRITE ended with v5.15 (8d0920bde5eb), VM_UFFD_MINOR came with v5.13.
FLAGS = (
    Flag(0, "rd", "VM_READ", "may be read"),
    Flag(1, "wr", "VM_WRITE", "may be written"),
    Flag(2, "ex", "VM_EXEC", "may be executed"),
    Flag(3, "sh", "VM_SHARED", "writes are seen by all who map it"),
    Flag(4, "mr", "VM_MAYREAD", "mprotect() may allow reading"),
    Flag(5, "mw", "VM_MAYWRITE", "mprotect() may allow writing"),
    Flag(6, "me", "VM_MAYEXEC", "mprotect() may allow executing"),
    Flag(7, "ms", "VM_MAYSHARE", "was mapped with MAP_SHARED"),
    Flag(8, "gd", "VM_GROWSDOWN", "a stack: grows down when touched below"),
    Flag(9, "um", "VM_UFFD_MISSING", "userfaultfd is asked for missing pages"),
    Flag(10, "pf", "VM_PFNMAP", "page frames without struct page"),
    Flag(11, "dw", "VM_DENYWRITE", "the file may not be written meanwhile"),
    Flag(12, "uw", "VM_UFFD_WP", "userfaultfd watches writes"),
    Flag(13, "lo", "VM_LOCKED", "mlock(): stays in memory"),
    Flag(14, "io", "VM_IO", "registers or memory of a device"),
    Flag(15, "sr", "VM_SEQ_READ", "will be read from start to end"),
    Flag(16, "rr", "VM_RAND_READ", "will be read here and there"),
    Flag(17, "dc", "VM_DONTCOPY", "a child does not get it"),
    Flag(18, "de", "VM_DONTEXPAND", "mremap() may not enlarge it"),
    Flag(19, "??", "VM_LOCKONFAULT", "pages are locked once touched"),
    Flag(20, "ac", "VM_ACCOUNT", "counts as memory promised to programs"),
    Flag(21, "nr", "VM_NORESERVE", "does not count as promised"),
    Flag(22, "ht", "VM_HUGETLB", "huge pages from the pool"),
    Flag(23, "sf", "VM_SYNC", "page faults reach the storage first (DAX)"),
    Flag(24, "ar", "VM_PAT", "cache behaviour set for all of it"),
    Flag(25, "wf", "VM_WIPEONFORK", "a child finds it empty"),
    Flag(26, "dd", "VM_DONTDUMP", "left out of core dumps"),
    Flag(27, "sd", "VM_SOFTDIRTY", "new since /proc/PID/clear_refs"),
    Flag(28, "mm", "VM_MIXEDMAP", "pages with and without struct page"),
    Flag(29, "hg", "VM_HUGEPAGE", "madvise() wants huge pages"),
    Flag(30, "nh", "VM_NOHUGEPAGE", "madvise() wants no huge pages"),
    Flag(31, "mg", "VM_MERGEABLE", "KSM may merge equal pages"),
    Flag(32, "", "VM_PKEY_BIT0", "protection key, bit 0"),
    Flag(33, "", "VM_PKEY_BIT1", "protection key, bit 1"),
    Flag(34, "", "VM_PKEY_BIT2", "protection key, bit 2"),
    Flag(35, "", "VM_PKEY_BIT3", "protection key, bit 3"),
    Flag(37, "ui", "VM_UFFD_MINOR", "userfaultfd is asked for minor faults"),
)
_NAMED = {flag.bit: flag for flag in FLAGS}


def flags_of(vm_flags: int) -> list[Flag]:
    """The flags that are set, lowest bit first; a bit unknown here is "??"."""
    return [
        _NAMED.get(bit) or Flag(bit, "??", f"bit {bit}", "unknown to the lab")
        for bit in range(64)
        if vm_flags >> bit & 1
    ]


@functools.lru_cache(None)
def flag_codes(vm_flags: int) -> tuple[str, ...]:
    """VmFlags of /proc/PID/smaps: show_smap_vma_flags()."""
    return tuple(flag.code for flag in flags_of(vm_flags) if flag.code)


@functools.lru_cache(None)
def permissions(vm_flags: int) -> str:
    """The four letters of /proc/PID/maps: show_vma_header_prefix()."""
    letters = "r" if vm_flags & VM_READ else "-"
    letters += "w" if vm_flags & VM_WRITE else "-"
    letters += "x" if vm_flags & VM_EXEC else "-"
    return letters + ("s" if vm_flags & VM_MAYSHARE else "p")
