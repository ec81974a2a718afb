# SPDX-License-Identifier: GPL-2.0-only
"""The boundaries a mm_struct keeps, and in which area each lies."""

from __future__ import annotations

from typing import NamedTuple

from ..target import kernel
from ..target.cstruct import NULL, Ptr
from .mm import is_topdown
from .structs.mm_types import MmStruct, VmAreaStruct
from .vma import vma_lookup

# Name, meaning, and whether it is the first byte behind something: then the
# area it belongs to is the one that ends there.
BOUNDARIES = (
    ("start_code", "the program's code starts", False),
    ("end_code", "the program's code ends", True),
    ("start_data", "initialised data starts", False),
    ("end_data", "initialised data ends", True),
    ("start_brk", "the heap starts", False),
    ("brk", "the heap ends: moved by brk()", True),
    ("mmap_base", "mmap() starts here to look for room", False),
    ("mmap_legacy_base", "the legacy layout starts here", False),
    ("start_stack", "the stack pointer when the program started", False),
    ("arg_start", "the arguments start", False),
    ("arg_end", "the arguments end", True),
    ("env_start", "the environment starts", False),
    ("env_end", "the environment ends", True),
    ("highest_vm_end", "the highest area ends", True),
    ("task_size", "the user's half ends", True),
)
# What the two mean depends on the direction, which each mm has of its own
DOWN = {
    "mmap_base": ("mmap() places areas below", True),
    "mmap_legacy_base": ("or above this, where there is no room below", False),
}
UP = {
    "mmap_base": ("mmap() places areas above: the legacy layout", False),
    "mmap_legacy_base": ("the same in this layout", False),
}


class Boundary(NamedTuple):
    """One boundary."""

    name: str
    address: int
    meaning: str
    vma: Ptr[VmAreaStruct]  # struct vm_area_struct * of the area it lies in, 0 for none
    start: int  # of that area
    end: int
    is_end: bool  # is it the first byte behind something?


def boundaries(mm: Ptr[MmStruct]) -> list[Boundary]:
    """All boundaries from low to high.

    :param mm: struct mm_struct *
    :raises Broken, Fault: a list or tree is damaged, or cannot be read
    """
    read = MmStruct(kernel.memory(), mm)
    found = []
    directions: dict[bool | None, dict[str, tuple[str, bool]]] = {
        True: DOWN,
        False: UP,
        None: {},
    }
    directed = directions[is_topdown(mm)]
    for name, meaning, is_end in BOUNDARIES:
        meaning, is_end = directed.get(name, (meaning, is_end))
        address = getattr(read, name)
        if address is None:  # highest_vm_end ended in v6.1 (763ecb035029)
            continue
        inside = address - 1 if is_end and address else address
        area = vma_lookup(mm, inside)
        if area is None:
            place = NULL, 0, 0
        else:
            place = area.address, area.vm_start, area.vm_end
        found.append(Boundary(name, address, meaning, *place, is_end))
    return sorted(found, key=lambda boundary: boundary.address)
