# SPDX-License-Identifier: GPL-2.0-only
"""The rules of the kernel's list of areas, and where each is broken."""

from __future__ import annotations

from dataclasses import dataclass

from ..linux import maple, maple_check, vma
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..target.cstruct import Ptr
from ..target.memory import Broken


@dataclass(frozen=True)
class Invariant:
    """A rule of the kernel's area list, and where it is broken."""

    rule: str
    broken: str = ""

    @property
    def holds(self) -> bool:
        return not self.broken


def check_list(
    mm: Ptr[MmStruct], map_count: int, found: list[VmAreaStruct], broken: str
) -> tuple[Invariant, ...]:
    """The invariants of an address space's list or tree of areas.

    See validate_mm() and browse_rb() in mm/mmap.c; for the maple tree
    mas_validate_gaps() in lib/maple_tree.c.

    :param found: the areas, as they were read from it
    :param broken: why they could not be followed to the end, "" if they could
    """
    count = f"map_count is {map_count}, there are {len(found)} areas"
    rules = [
        Invariant("the areas can be followed to the end", broken),
        Invariant("every area has its start below its end", _empty(found)),
        Invariant("areas are sorted and do not overlap", _unsorted(found)),
        Invariant("every area points back to this mm", _strangers(mm, found)),
        Invariant(
            "map_count is the number of areas",
            "" if map_count == len(found) else count,
        ),
    ]
    if vma.is_listed():
        rules.append(Invariant("vm_prev mirrors vm_next", _unmirrored(found)))
        rules.append(
            Invariant("the red-black tree gives the same sequence", _tree(mm, found))
        )
    else:
        rules.append(
            Invariant("every area is where the tree has it", _misplaced(mm, found))
        )
        rules.append(Invariant("the tree's gaps are the widest below", _gaps(mm)))
    return tuple(rules)


def _at(index: int, area: VmAreaStruct) -> str:
    return f"area {index} ({area.vm_start:#x}-{area.vm_end:#x}, at {area.address:#x})"


def _empty(found: list[VmAreaStruct]) -> str:
    for i, area in enumerate(found):
        if area.vm_start >= area.vm_end:
            return _at(i, area)
    return ""


def _unsorted(found: list[VmAreaStruct]) -> str:
    end = 0
    for i, area in enumerate(found):
        if area.vm_start < end:
            return f"{_at(i, area)} starts below {end:#x}, where the one before ends"
        end = area.vm_end
    return ""


def _strangers(mm: Ptr[MmStruct], found: list[VmAreaStruct]) -> str:
    for i, area in enumerate(found):
        if area.vm_mm != mm:
            return f"{_at(i, area)} has vm_mm {area.vm_mm:#x}, not {mm:#x}"
    return ""


def _unmirrored(found: list[VmAreaStruct]) -> str:
    before = 0
    for i, area in enumerate(found):
        if area.vm_prev != before:
            return f"{_at(i, area)} has vm_prev {area.vm_prev:#x}, not {before:#x}"
        before = area.address
    return ""


def _tree(mm: Ptr[MmStruct], found: list[VmAreaStruct]) -> str:
    in_list = [area.address for area in found]
    in_tree = []
    try:
        for address in vma.for_each_rb(mm):
            in_tree.append(address)
    except Broken as broken:
        return str(broken)
    for i, (listed, node) in enumerate(zip(in_list, in_tree)):
        if listed != node:
            return f"area {i} is at {listed:#x} in the list, at {node:#x} in the tree"
    if len(in_list) != len(in_tree):
        return f"the list has {len(in_list)} areas, the tree has {len(in_tree)}"
    return ""


def _misplaced(mm: Ptr[MmStruct], found: list[VmAreaStruct]) -> str:
    """The first area whose range in the maple tree differs from its own, "" if none."""
    try:
        places = list(maple.mas_for_each(vma.tree_of(mm)))
    except Broken as broken:
        return str(broken)
    for i, (area, (first, last, _)) in enumerate(zip(found, places)):
        if (area.vm_start, area.vm_end) != (first, last + 1):
            return f"{_at(i, area)} is at {first:#x}-{last + 1:#x} in the tree"
    return ""


def _gaps(mm: Ptr[MmStruct]) -> str:
    """The first node of the maple tree whose gap is wrong, "" if none."""
    try:
        return maple_check.check_gaps(vma.tree_of(mm))
    except Broken as broken:
        return str(broken)
