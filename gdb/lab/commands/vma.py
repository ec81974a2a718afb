# SPDX-License-Identifier: GPL-2.0-only
"""lab vma: the area that holds an address, explained."""

from __future__ import annotations

import gdb

from ..linux import kallsyms, maps, mm as mm_, page, pagewalk, pgtable, task, vma
from ..linux.structs.mm_types import VmAreaStruct
from ..linux.vmflags import flags_of
from ..result import Result, Table, columns
from ..sizes import rough_size
from ..target import members
from ..target.memory import PAGE_SIZE, Broken
from .base import LabCommand, mm_of, user_address
from .vmas import COLUMNS

PLACES = columns(place="text", **{one.name: one.kind for one in COLUMNS})


MEMBERS = columns(member="text", value="text", type="text", meaning="text")


# By the member, or by the structure it is in
MEANINGS = {
    "vm_start": "first address",
    "vm_end": "first address behind it",
    "vm_next": "the next area by address; ended with v6.1",
    "vm_prev": "the area before; ended with v6.1",
    "vm_rb.__rb_parent_color": "parent in the tree mm_rb; bit 0 is the colour, 1 black",
    "vm_rb.rb_right": "areas above",
    "vm_rb.rb_left": "areas below",
    "rb_subtree_gap": "widest hole in front of an area in this subtree",
    "vm_mm": "whose area it is",
    "vm_page_prot": "what its page-table entries start with",
    "vm_flags": "see the table of flags",
    "__vm_flags": "the same, for the few who may write it",
    "shared": "node among all areas that map the file: address_space.i_mmap",
    "anon_name": "name given with prctl(PR_SET_VMA_ANON_NAME), if there is no file",
    "anon_vma_chain": "which anon_vmas can have its pages",
    "anon_vma": "finds all who map its anonymous pages; NULL until one was written",
    "vm_ops": "functions for faults, names, closing",
    "vm_pgoff": "page of the file it starts with, else of the address it started at",
    "vm_file": "the mapped file",
    "vm_private_data": "for whoever made it; of [vdso] its vm_special_mapping",
    "swap_readahead_info": "how well reading ahead from swap went",
    "vm_policy": "which NUMA nodes its memory comes from",
    "vm_userfaultfd_ctx": "the userfaultfd that handles its faults",
    "vm_lock_seq": "equal to mm_lock_seq while it is locked for writing",
    "vm_lock": "lock of this area alone",
    "detached": "already out of the tree",
}


class Vma(LabCommand):
    """The area that holds an address, explained: lab vma ADDRESS [PID] [--json]

    Found as the kernel's find_vma() does, by way of the tree. Shows the area
    between its neighbours, what its flags mean, all members of its
    vm_area_struct, and how many of its pages are there. For an address in no
    area: between which two it lies, and how wide the gap is.

    ADDRESS is any expression of gdb's, in quotes if it has spaces.

    Examples: the area of the stack, and that of the code that called the kernel.
        (gdb) lab vma $lab_mm()->start_stack
        (gdb) lab vma 0x401000 1
    """

    name = "vma"

    def run(self, arguments: list[str]) -> Result:
        where, pid = self.take(arguments, "ADDRESS", "[PID]")
        address = user_address(where)
        _, mm = mm_of(pid)
        try:
            return self.explain(mm, address)
        except Broken as broken:
            raise gdb.GdbError(f"lab vma: {broken}.") from None

    def explain(self, mm: int, address: int) -> Result:
        """What is at an address. Raises Broken, memory.Fault."""
        found = vma.find_vma(mm, address)
        before = vma.find_vma_prev(mm, address)
        root = task.onlooker_root()
        if found is None or address < found.vm_start:
            return _gap(mm, address, before, found, root)
        after = vma.find_vma(mm, found.vm_end)
        around = Table("", PLACES)
        for place, one in (("before", before), ("here", found), ("after", after)):
            if one is not None:
                around.rows.append((place, *maps.area_of(one.address, mm, root)))
        start, end = found.vm_start, found.vm_end
        inside = address - start
        return Result(
            [
                f"{address:#x} is {inside:#x} bytes into the area "
                f"{start:#x}-{end:#x}, page {inside // PAGE_SIZE} of "
                f"{(end - start) // PAGE_SIZE}.",
                around,
                _flags(found.vm_flags),
                _members(found.address),
                _pages(mm, start, end),
            ]
        )


def _gap(
    mm: int,
    address: int,
    before: VmAreaStruct | None,
    after: VmAreaStruct | None,
    root: int,
) -> Result:
    """An address in no area."""
    low = before.vm_end if before else 0
    high = after.vm_start if after else mm_.mm_struct(mm).task_size
    around = Table("", PLACES)
    for place, one in (("before", before), ("after", after)):
        if one is not None:
            around.rows.append((place, *maps.area_of(one.address, mm, root)))
    where = f"{address:#x} lies in no area, but in the gap {low:#x}-{high:#x}"
    if address >= high:
        where = f"{address:#x} is above the user's half, which ends at {high:#x}"
    width = f", {high - low:#x} bytes ({rough_size(high - low)}) wide"
    sentence = where + (width if address < high else "")
    if after is not None and "gd" in maps.area_of(after.address, mm, root).flags:
        sentence += "; the stack above may still grow down into it"
    return Result([f"{sentence}.", around])


def _flags(vm_flags: int) -> Table:
    rows = [
        (flag.code, flag.name, 1 << flag.bit, flag.meaning)
        for flag in flags_of(vm_flags)
    ]
    kinds = columns(code="text", flag="text", value="address", meaning="text")
    return Table(f"vm_flags {vm_flags:#x}", kinds, rows)


def _members(address: int) -> Table:
    table = Table(f"struct vm_area_struct at {address:#x}", MEMBERS)
    for one in members.members("struct vm_area_struct", address):
        path = one.place.path
        meaning = MEANINGS.get(path) or MEANINGS.get(path.split(".")[0], "")
        table.rows.append((path, _value(one), one.place.type, meaning))
    return table


def _value(member: members.Member) -> str:
    """A member's value as text: everything here is an address or a set of bits."""
    if isinstance(member.value, bytes):
        return member.value.hex()
    text = f"{member.value:#x}"
    symbol = kallsyms.symbol_name(member.value) if member.place.is_pointer else ""
    return f"{text} <{symbol}>" if symbol else text


def _pages(mm: int, start: int, end: int) -> Table:
    """How many pages of an area are there, by kind."""
    table = Table(
        "pages", columns(kind="text", page_size="size", pages="number", size="size")
    )
    counts: dict[tuple[str, int], int] = {}
    mapped = 0
    found = pagewalk.walk_page_range(mm_.pgd_of(mm), start, end)
    try:
        for _, size, level, value in found:
            key = _kind(pgtable.Entry(level, "", 0, 0, value)), size
            counts[key] = counts.get(key, 0) + 1
            mapped += size
    except Broken as broken:
        table.broken = str(broken)
    table.rows += [
        (kind, size, count, size * count)
        for (kind, size), count in sorted(counts.items())
    ]
    rest = end - start - mapped
    if rest > 0:
        table.rows.append(("not there", PAGE_SIZE, rest // PAGE_SIZE, rest))
    return table


def _kind(entry: pgtable.Entry) -> str:
    """What an entry for a page is, in the words of `lab walk`."""
    if not entry.is_present:
        return pgtable.kind(entry)
    return "zero page" if page.is_zero_page(entry.target >> 12) else "present"
