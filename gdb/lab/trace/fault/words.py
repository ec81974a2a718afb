# SPDX-License-Identifier: GPL-2.0-only
"""What a page fault came to, in words."""

from __future__ import annotations

from ...linux import pgtable, signals
from ...sizes import counted, size_text
from ...target.memory import PAGE_SIZE
from . import kinds
from .kinds import Kind
from .look import Access, Look, file_page

DIRTY_BIT = 1 << 6  # _PAGE_DIRTY, asm/pgtable_types.h
OF_FILES = (kinds.FILE, kinds.COPY, kinds.SHARED)
PLAIN = {
    kinds.ZERO: "the zero page, since it is only read",
    kinds.NEW: "new page of zeros",
    kinds.REUSE: "made writable, nobody else has the page",
    kinds.HUGE_REUSE: "made writable, nobody else has the huge page",
    kinds.HUGETLB_REUSE: "made writable, nobody else has the huge page",
    kinds.DIRTY: "first write to a shared page, made writable",
    kinds.KERNELS: "a page of the kernel that every process can see",
    kinds.SWAP: "the page was elsewhere and is back",
    kinds.MOVED: "the page was being moved",
    kinds.NUMA: "only asked which processor uses the page",
    kinds.THERE: "nothing to do, it was resolved meanwhile",
    kinds.AGAIN: "not resolved, the instruction will try again",
    kinds.FIXUP: "not resolved, the kernel goes on as its exception table says",
    kinds.EMULATED: "a call in the vsyscall page, done by the kernel",
}
# include/uapi/asm-generic/siginfo.h: si_code, its name, what it says
CODES = {
    ("SIGSEGV", 1): ("SEGV_MAPERR", "no area is there"),
    ("SIGSEGV", 2): ("SEGV_ACCERR", "the area does not allow it"),
    ("SIGBUS", 2): ("BUS_ADRERR", "the area has no page to show there"),
}


def phrase(
    kind: Kind, access: Access, before: Look, after: Look, around: int, major: bool
) -> str:
    """What resolved a fault. around: how many pages more it mapped."""
    sentence = _resolved(kind, access, before, after, around, major)
    if major and not is_read(kind, before, major):
        sentence += ", counted as major since it was tried twice"
    return sentence


def _resolved(
    kind: Kind, access: Access, before: Look, after: Look, around: int, major: bool
) -> str:
    if kind in (kinds.COW, kinds.HUGETLB_COW):
        return f"copied, {_owner(before)}"
    if kind is kinds.STACK:
        grown = kinds.grown(before, after)
        came = kinds.came_of_empty(access, before, after)
        page = _resolved(came, access, before, after, around, major)
        return f"the area grows down by {size_text(grown)}, {page}"
    if kind in (kinds.HUGE, kinds.HUGE_ZERO, kinds.HUGETLB):
        size = after.entry.size if after.entry else 0
        zero = kind is kinds.HUGE_ZERO
        what = "the huge zero page" if zero else f"new {kind.name}"
        return f"{what}, {size_text(size)}"
    if kind in OF_FILES:
        return _of_file(kind, access, before, after, around, major)
    return PLAIN[kind]


def _of_file(
    kind: Kind, access: Access, before: Look, after: Look, around: int, major: bool
) -> str:
    area = kinds.area_of(before, after)
    number = file_page(area, access.address) if area else "?"
    what = f"page {number} of the file"
    if kind is kinds.COPY:
        what = f"private copy of {what}"
    if before.is_cached:
        what += ", from the page cache"
    elif is_read(kind, before, major):
        what += ", read from storage"
    elif after.is_cached or kind is kinds.COPY:
        what += ", new in the page cache"
    else:
        what += ", given by its driver"
    return what + (f", and {counted(around, 'page')} around it" if around else "")


def is_read(kind: Kind, before: Look, major: bool) -> bool:
    """Did the page have to be read? Then the fault is a major one.

    But a fault that is tried again is counted so as well: mm_account_fault(). The
    write that makes a shared page dirty was before v6.0 (d92725256b4f), see
    fault_dirty_shared_page() in mm/memory.c.
    """
    reads = kind in (kinds.FILE, kinds.COPY)
    return major and reads and not before.is_cached


def late_phrase(by: int, around: int) -> str:
    """Another thread was faster; around: how many pages were left for this one."""
    rest = f", this one mapped {counted(around, 'page')} around it" if around else ""
    return f"already resolved by thread {by}{rest}"


def _owner(before: Look) -> str:
    """Why a page is not written to but copied.

    A reference is enough, such as one of a list of the kernel's by which a new page
    waits: from v5.9 (09854ba94c6a) to v5.17 do_wp_page() copies any page with more than
    one. Since then it first gets rid of what this CPU's lists (d4c470970d45) and the
    swap cache (53a05ad9f21d) hold, then counts again. References to any part of a huge
    page are counted for all of it.
    """
    if before.use == "zero":
        return "it was the zero page"
    if before.use == "file":
        return "it is the file's page"
    if before.holders > 1:
        return f"{before.holders} address spaces have it"
    if before.is_part:
        return f"its huge page is used elsewhere too ({before.references} references)"
    return f"the kernel uses it too ({before.references} references)"


def signal_phrase(number: int, code: int, handler: int) -> str:
    """Which signal, why, and what the program has against it."""
    name = signals.signal_name(number)
    short, why = CODES.get((name, code), (f"si_code {code}", ""))
    sentence = f"{name}, {short}"
    if why:
        sentence += f" ({why})"
    return f"{sentence}, {'its handler runs' if handler else 'which ends the process'}"


def code_name(number: int, code: int) -> str:
    """si_code by name."""
    return CODES.get((signals.signal_name(number), code), (str(code), ""))[0]


def entries(before: Look, after: Look) -> str:
    """The page-table entry before and after: pte 0 -> 0x1234 rw- dirty."""
    if before.entry is None or after.entry is None:
        return ""
    old, new = _entry(before.entry), _entry(after.entry)
    if before.entry.level != after.entry.level:
        return f"{before.entry.name} {old} -> {after.entry.name} {new}"
    if old == new:
        return f"{before.entry.name} {old}"
    return f"{before.entry.name} {old} -> {new}"


def _entry(entry: pgtable.Entry) -> str:
    """A last entry: the frame and what may be done with it."""
    if not entry.is_present:
        return pgtable.explain(entry) if entry.value else "0"
    letters = "r" + ("w" if entry.value & pgtable.PAGE_RW else "-")
    letters += "-" if entry.value & pgtable.PAGE_NX else "x"
    dirty = " dirty" if entry.value & DIRTY_BIT else ""
    return f"{entry.target // PAGE_SIZE:#x} {letters}{dirty}"


def by_whom(access: Access, inside: str, syscall: str) -> str:
    """Whose instruction it was."""
    if access.from_user:
        return f"in {inside}"
    doing = f" in {syscall}()" if syscall else ""
    return f"by the kernel{doing}, {inside}"


def new_tables(before: Look, after: Look) -> tuple[str, ...]:
    """A line if the way to the page needed new page tables."""
    if before.entry is None or after.entry is None:
        return ()
    if before.entry.value or after.entry.level >= before.entry.level:
        return ()
    names = [
        pgtable.level_name(level)
        for level in range(before.entry.level - 1, after.entry.level - 1, -1)
    ]
    start = before.address & -before.entry.size
    plural = "s" * (len(names) > 1)
    return (
        f"new page table{plural} ({', '.join(names)}): {before.entry.name} was empty, "
        f"nothing was mapped in the {size_text(before.entry.size)} from {start:#x}",
    )
