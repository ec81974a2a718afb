# SPDX-License-Identifier: GPL-2.0-only
"""The area that holds an address, explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import kallsyms, maps, mm as mm_, page, pagewalk, pgtable, task, vma
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..linux.vmflags import VM_GROWSDOWN, flags_of
from ..result import Address, Flags, Number, Report, Size, Table, Words
from ..sizes import rough_size
from ..target import members
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE, Broken


class PlaceRow(NamedTuple):
    """An area, and whether it is before, at or after the address."""

    place: Words
    start: Address
    end: Address
    perms: Words
    offset: Address
    dev: Words
    inode: Number
    name: Words
    size: Size
    flags: Flags
    backing: Words
    pgoff: Address
    anon_vma: Address
    vma: Address


class FlagRow(NamedTuple):
    """A flag of vm_flags."""

    code: Words
    flag: Words
    value: Address
    meaning: Words


class PagesRow(NamedTuple):
    """Pages of an area, of one kind and size."""

    kind: Words
    page_size: Size
    pages: Number
    size: Size


class MemberRow(NamedTuple):
    """A member of a struct vm_area_struct."""

    member: Words
    value: Words
    type: Words
    meaning: Words


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


@dataclass
class VmaReport(Report, schema="vma"):
    """Where an address is and the areas around it; its area's flags, members, pages."""

    where: str
    around: Table[PlaceRow]
    flags: Table[FlagRow] | None = None
    members: Table[MemberRow] | None = None
    pages: Table[PagesRow] | None = None


def describe(mm: Ptr[MmStruct], address: int) -> VmaReport:
    """Look up an address and explain its area.

    :param address: user address in bytes
    :raises Broken: the tree is damaged
    """
    found = vma.find_vma(mm, address)
    before = vma.area_before(mm, address)
    if found is None or address < found.vm_start:
        return _gap(mm, address, before, found)
    after = vma.find_vma(mm, found.vm_end)
    start, end = found.vm_start, found.vm_end
    inside = address - start
    return VmaReport(
        where=f"{address:#x} is {inside:#x} bytes into the area {start:#x}-{end:#x}, page "
        f"{inside // PAGE_SIZE} of {(end - start) // PAGE_SIZE}.",
        around=_around(mm, before=before, here=found, after=after),
        flags=_flags(found.vm_flags),
        members=_members(Ptr(found.address)),
        pages=_pages(mm, start, end),
    )


def _around(mm: Ptr[MmStruct], **places: VmAreaStruct | None) -> Table[PlaceRow]:
    """The areas around an address; None where there is none."""
    root = task.onlooker_root()
    table = Table(PlaceRow)
    for place, area in places.items():
        if area is not None:
            members = maps.area_of(area.address, mm, root)._asdict()
            table.rows.append(PlaceRow(place=place, **members))
    return table


def _gap(
    mm: Ptr[MmStruct],
    address: int,
    before: VmAreaStruct | None,
    after: VmAreaStruct | None,
) -> VmaReport:
    """An address in no area."""
    low = before.vm_end if before else 0
    high = after.vm_start if after else mm_.mm_struct(mm).task_size
    where = f"{address:#x} lies in no area, but in the gap {low:#x}-{high:#x}"
    if address >= high:
        where = f"{address:#x} is above the user's half, which ends at {high:#x}"
    width = f", {high - low:#x} bytes ({rough_size(high - low)}) wide"
    sentence = where + (width if address < high else "")
    if after is not None and after.vm_flags & VM_GROWSDOWN:
        sentence += "; the stack above may still grow down into it"
    return VmaReport(f"{sentence}.", _around(mm, before=before, after=after))


def _flags(vm_flags: int) -> Table[FlagRow]:
    rows = [
        FlagRow(flag.code, flag.name, 1 << flag.bit, flag.meaning)
        for flag in flags_of(vm_flags)
    ]
    return Table(FlagRow, f"vm_flags {vm_flags:#x}", rows)


def _members(address: Ptr[VmAreaStruct]) -> Table[MemberRow]:
    table = Table(MemberRow, f"struct vm_area_struct at {address:#x}")
    for member in members.members("struct vm_area_struct", address):
        path, kind = member.place.path, member.place.type
        meaning = MEANINGS.get(path) or MEANINGS.get(path.split(".")[0], "")
        table.rows.append(MemberRow(path, _value(member), kind, meaning or ""))
    return table


def _value(member: members.Member) -> str:
    """A member's value as text; here all are addresses or sets of bits."""
    if isinstance(member.value, bytes):
        return member.value.hex()
    text = f"{member.value:#x}"
    symbol = kallsyms.symbol_name(member.value) if member.place.is_pointer else ""
    return f"{text} <{symbol}>" if symbol else text


def _pages(mm: Ptr[MmStruct], start: int, end: int) -> Table[PagesRow]:
    """The number of pages of an area, by kind."""
    table = Table(PagesRow, "pages")
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
        PagesRow(kind, size, count, size * count)
        for (kind, size), count in sorted(counts.items())
    ]
    rest = end - start - mapped
    if rest > 0:
        table.rows.append(PagesRow("not there", PAGE_SIZE, rest // PAGE_SIZE, rest))
    return table


def _kind(entry: pgtable.Entry) -> str:
    """The kind of a page-table entry, as `lab walk` calls it."""
    if not entry.is_present:
        return pgtable.kind(entry)
    return "zero page" if page.is_zero_page(entry.target >> 12) else "present"
