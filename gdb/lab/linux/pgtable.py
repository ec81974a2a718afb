# SPDX-License-Identifier: GPL-2.0-only
"""Page tables of x86-64, walked entry by entry.

See arch/x86/include/asm/pgtable_types.h for the bits, mm/pagewalk.c for the
walk, and the Intel manual, volume 3, chapter 4. memory.py translates addresses
where only the bytes are wanted; here each step is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..target import kernel, structs
from ..target.memory import (
    PAGE_PRESENT,
    PAGE_PROTNONE,
    PAGE_PSE,
    PAGE_SIZE,
    PHYSICAL_MASK,
    Fault,
)
from . import swapops

PAGE_RW = 1 << 1
PAGE_USER = 1 << 2
PAGE_NX = 1 << 63
X86_FEATURE_PTI = (7, 11)  # word and bit, arch/x86/include/asm/cpufeatures.h
USER_HALF = 1 << 63  # addresses below are the user's, with any number of levels

# Of every entry, of one that maps memory, and of one with which software means
# something: bit, short name, meaning
COMMON_FLAGS = (
    (0, "P", "present"),
    (1, "RW", "writable"),
    (2, "US", "for user mode"),
    (3, "PWT", "write-through"),
    (4, "PCD", "not cached"),
    (5, "A", "accessed"),
    (6, "D", "dirty: written to"),
)
LEAF_FLAGS = (
    (8, "G", "global: survives a switch of address spaces"),
    (9, "SPECIAL", "software: no struct page is counted for it"),
    (10, "UFFD_WP", "software: userfaultfd watches writes"),
    (11, "SOFT_DIRTY", "software: written to since /proc/PID/clear_refs"),
    (58, "DEVMAP", "software: memory of a device"),
)
PSE_FLAG = (7, "PSE", "a large page")
PAT_FLAG = (7, "PAT", "memory type, with PWT and PCD")
PAT_LARGE_FLAG = (12, "PAT", "memory type, with PWT and PCD")
NX_FLAG = (63, "NX", "not executable")


@dataclass(frozen=True)
class Entry:
    """One step of a walk."""

    level: int  # 5 or 4 for the first, 1 for the last
    name: str  # pgd, p4d, pud, pmd, pte
    index: int  # in its table
    table: int  # physical address of the table
    value: int

    @property
    def address(self) -> int:
        """Physical address of the entry."""
        return self.table + 8 * self.index

    @property
    def is_leaf(self) -> bool:
        """Does it map memory, and not lead to another table?"""
        return self.level == 1 or (
            self.level in (2, 3) and bool(self.value & PAGE_PSE and self.is_present)
        )

    @property
    def is_present(self) -> bool:
        """Does the processor follow it?"""
        return bool(self.value & PAGE_PRESENT)

    @property
    def target(self) -> int:
        """Physical address of what it leads to: a table or a page."""
        return (
            self.value & PHYSICAL_MASK & -self.size
            if self.is_leaf
            else (self.value & PHYSICAL_MASK)
        )

    @property
    def size(self) -> int:
        """How many bytes of address space it covers."""
        return 1 << 12 + 9 * (self.level - 1)

    def flags(self) -> list[tuple[str, str]]:
        """Name and meaning of the set bits, lowest first, the protection key last."""
        found = [
            (name, meaning) for bit, name, meaning in self._bits() if self._has(bit)
        ]
        if self.pkey:
            found.append((f"PKEY{self.pkey}", "protection key, see pkeys(7)"))
        return found

    def _has(self, bit: int) -> bool:
        return bool(self.value >> bit & 1)

    def _bits(self) -> tuple[tuple[int, str, str], ...]:
        if not self.is_present:
            return ()
        if not self.is_leaf:
            return (*COMMON_FLAGS, NX_FLAG)
        if self.level == 1:
            return (*COMMON_FLAGS, PAT_FLAG, *LEAF_FLAGS, NX_FLAG)
        large = (*COMMON_FLAGS, PSE_FLAG, *LEAF_FLAGS, PAT_LARGE_FLAG, NX_FLAG)
        return tuple(sorted(large))

    @property
    def pkey(self) -> int:
        """The protection key of a user page: bits 59 to 62."""
        return self.value >> 59 & 15 if self.is_leaf and self.is_present else 0


@dataclass(frozen=True)
class Walk:
    """All steps for one address, and what came of them."""

    address: int
    entries: tuple[Entry, ...]
    broken: str = ""  # why a table could not be read

    @property
    def last(self) -> Entry:
        return self.entries[-1]

    @property
    def physical(self) -> int | None:
        """The physical address, None where the processor would fault."""
        if self.broken or not (self.last.is_leaf and self.last.is_present):
            return None
        return self.last.target | self.address & self.last.size - 1

    @property
    def kept(self) -> int | None:
        """The physical address of a page that is there but that nobody may touch."""
        if self.physical is None and not self.broken and is_protnone(self.last):
            return protnone_target(self.last) | self.address & self.last.size - 1
        return None

    def rights(self) -> str:
        """What the processor allows: like "rw- user".

        Every level has a say: writing and user mode need all of them, one NX is
        enough. But with page-table isolation the kernel's own top-level entries
        for user memory carry NX so that nothing runs there on the kernel's
        tables; user mode runs on a copy without it (see user_copy()).
        """
        levels = self.entries
        executable = levels[1:] if self._is_poisoned() else levels
        letters = "r"
        letters += "w" if all(entry.value & PAGE_RW for entry in levels) else "-"
        letters += "-" if any(entry.value & PAGE_NX for entry in executable) else "x"
        user = all(entry.value & PAGE_USER for entry in levels)
        return f"{letters} {'user' if user else 'kernel'}"

    def _is_poisoned(self) -> bool:
        return self.address < USER_HALF and pti_is_on()


def level_name(level: int) -> str:
    """What the kernel calls a table of this level: pgd, p4d, pud, pmd, pte."""
    if level == kernel.memory().levels:
        return "pgd"
    return ("pte", "pmd", "pud", "p4d")[level - 1]


def read_entry(table: int, index: int) -> int:
    """Read an entry of a table. Raises Fault.

    :param table: its physical address
    """
    buffer, offset = kernel.memory().physical.locate(table + 8 * index, 8)
    return int.from_bytes(buffer[offset : offset + 8], "little")


def walk(pgd: int, address: int) -> Walk:
    """Walk to a virtual address.

    :param pgd: physical address of the top table

    Never raises: where a table cannot be read the walk ends and says so.
    """
    table = pgd
    entries: list[Entry] = []
    for level in range(kernel.memory().levels, 0, -1):
        index = address >> 12 + 9 * (level - 1) & 511
        try:
            value = read_entry(table, index)
        except Fault as fault:
            return Walk(address, tuple(entries), f"the {level_name(level)} {fault}")
        entry = Entry(level, level_name(level), index, table, value)
        entries.append(entry)
        if not entry.is_present or entry.is_leaf:
            break
        table = entry.target
    return Walk(address, tuple(entries))


def is_protnone(entry: Entry) -> bool:
    """Is a page there for which PROT_NONE, or a NUMA hint, clears P?"""
    return (
        entry.level < 4
        and not entry.value & PAGE_PRESENT
        and bool(entry.value & PAGE_PROTNONE)
        and (entry.level == 1 or bool(entry.value & PAGE_PSE))
    )


def protnone_target(entry: Entry) -> int:
    """Physical address of a page in a PROT_NONE entry.

    The frame is stored inverted against the L1 Terminal Fault, since v4.19
    (6b28baca9b1f, "Protect PROT_NONE PTEs against speculation").
    """
    return ~entry.value & PHYSICAL_MASK & -entry.size


def kind(entry: Entry) -> str:
    """What an entry is that the processor cannot follow.

    none (empty), protnone, splitting, invalid, or a kind of swapops.SwapEntry.
    """
    if not entry.value:
        return "none"
    if is_protnone(entry):
        return "protnone"
    if entry.level == 2 and entry.value & PAGE_PSE:
        return "splitting"
    found = swapops.pte_to_swp_entry(entry.value).kind
    if entry.level > 3 or entry.level == 3 and found not in ("migration", "hwpoison"):
        return "invalid"  # a page of 1 GiB is moved and poisoned, never swapped out
    return found


def explain(entry: Entry) -> str:
    """The same as a phrase."""
    what = kind(entry)
    if what == "none":
        return f"empty: {_reach(entry)} never touched, or given back"
    if what == "protnone":
        return (
            f"PROT_NONE: page {protnone_target(entry):#x} is kept, nobody may touch it"
        )
    if what == "splitting":
        return "a large page that is being split"
    if what == "invalid":
        return f"not present: {entry.value:#x}, which the kernel never writes here"
    return swapops.explain(entry.value)


def _reach(entry: Entry) -> str:
    """What an entry covers, as the start of "... never touched"."""
    if entry.level == 1:
        return "this page was"
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB")):
        if entry.size >> shift:
            return f"these {entry.size >> shift} {unit} were"
    raise ValueError(entry)


def pti_is_on() -> bool:
    """Does this kernel isolate page tables, against Meltdown?

    X86_FEATURE_PTI, which the kernel sets for itself (arch/x86/mm/pti.c).
    """
    word, bit = X86_FEATURE_PTI
    if not structs.has_symbol("boot_cpu_data"):
        return False
    place = structs.offsetof("struct cpuinfo_x86", "x86_capability") + 4 * word
    raw = kernel.memory().read(structs.address_of("boot_cpu_data") + place, 4)
    return bool(int.from_bytes(raw, "little") >> bit & 1)


def user_copy(pgd: int) -> int:
    """The top table with which user mode runs: kernel_to_user_pgdp().

    With page-table isolation it is the page after the kernel's own.
    """
    return pgd | PAGE_SIZE
