# SPDX-License-Identifier: GPL-2.0-only
"""Page-table entries that stand for a page which is not there.

See include/linux/swapops.h, include/linux/swap.h (which type means what) and
arch/x86/include/asm/pgtable_64.h (where type and offset stand in an entry).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..target import kernel, structs
from .regions import MAX_PHYSMEM_BITS

SWP_TYPE_BITS = 5
SWP_OFFSET_SHIFT = 9 + SWP_TYPE_BITS  # SWP_OFFSET_FIRST_BIT is above PROT_NONE's
WORD = (1 << 64) - 1


@dataclass(frozen=True)
class SwapEntry:
    """A swp_entry_t: a number for the place, and one for the kind of place."""

    type: int
    offset: int
    kind: str  # swap, migration, hwpoison, device, marker

    @property
    def pfn(self) -> int | None:
        """The page frame, for kinds that keep one: swp_offset_pfn().

        Above the frame number v6.1 (0d206b5d2e0d) keeps accessed and dirty bits, since
        2e3468778dbe.
        """
        if self.kind not in ("migration", "hwpoison", "device"):
            return None
        bits = MAX_PHYSMEM_BITS[kernel.memory().levels]
        return self.offset & (1 << bits - 12) - 1


def pte_to_swp_entry(value: int) -> SwapEntry:
    """Decode an entry that is neither empty, nor present, nor PROT_NONE.

    The offset is stored inverted, so that it never is the address of RAM.
    """
    kind = value >> 64 - SWP_TYPE_BITS
    offset = (~value << SWP_TYPE_BITS & WORD) >> SWP_OFFSET_SHIFT
    return SwapEntry(kind, offset, swap_types().get(kind, ("swap", ""))[0])


def explain(value: int) -> str:
    """What an entry that is not present says, in a phrase."""
    entry = pte_to_swp_entry(value)
    if entry.kind == "swap":
        return f"swapped out: slot {entry.offset} of swap area {entry.type}"
    name = swap_types()[entry.type][1]
    if entry.pfn is None:
        return f"{name} (type {entry.type}, offset {entry.offset:#x})"
    return f"{name}: frame {entry.pfn:#x} (type {entry.type})"


@structs.cached
def swap_types() -> dict[int, tuple[str, str]]:
    """The types that are no swap area: kind and what to say of it.

    They are the highest of the 32, and which there are depends on the kernel's
    options. From the top: swap-in errors (v5.19, 9f186f9e5fa9) and markers (v5.19,
    679d10331910), device memory, migration, poisoned pages. In v6.2 swap-in errors became
    markers (15520a3f0469), which every kernel has since then (ca92ea3dc5a2).
    """
    names = [("hwpoison", "the page is poisoned")] * structs.has_symbol(
        "memory_failure"
    )
    names += _migration_types() + _device_types()
    if structs.has_symbol("pcpu_hot"):  # v6.2, e57ef2ed97c1
        names += [("marker", "a marker of userfaultfd or of a failed read from swap")]
    elif has_exclusive_pages():
        names += [("marker", "a marker of userfaultfd")] * structs.has_symbol(
            "userfaultfd_unmap_prep"
        )
        names += [("marker", "the page could not be read from swap")]
    first = (1 << SWP_TYPE_BITS) - len(names)
    return dict(enumerate(names, first))


def has_exclusive_pages() -> bool:
    """Does a page say that it is one process's alone? v5.19, 6c287605fd56."""
    return "PG_anon_exclusive" in structs.enumerators("enum pageflags")


def _migration_types() -> list[tuple[str, str]]:
    if not structs.has_symbol("migrate_pages"):
        return []
    names = ["readable", "readable and exclusive", "writable"]
    if not has_exclusive_pages():
        del names[1]
    return [("migration", f"{name} page that is being moved") for name in names]


def _device_types() -> list[tuple[str, str]]:
    """Memory that only a device can reach; two more since v5.14 (b756a3b5e7ea)."""
    names = ["writable in a device", "readable in a device"]
    if structs.has_symbol("make_device_exclusive_range"):
        names += ["writable by a device alone", "readable by a device alone"]
    elif has_exclusive_pages() or not structs.has_symbol("migrate_vma_setup"):
        return []
    return [("device", f"memory {name}") for name in names]
