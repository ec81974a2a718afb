# SPDX-License-Identifier: GPL-2.0-only
"""The boundaries a mm_struct keeps, and in which area each lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..target import kernel
from ..target.cstruct import NULL, Ptr
from .mm import is_topdown
from .structs.mm_types import MmStruct, VmAreaStruct
from .vma import vma_lookup


@dataclass(frozen=True)
class Meaning:
    """What a boundary is."""

    text: str
    # Is it the first byte behind something? Then its area is the one that ends there.
    is_end: bool = False


BOUNDARIES = {
    "start_code": Meaning("the program's code starts"),
    "end_code": Meaning("the program's code ends", is_end=True),
    "start_data": Meaning("initialised data starts"),
    "end_data": Meaning("initialised data ends", is_end=True),
    "start_brk": Meaning("the heap starts"),
    "brk": Meaning("the heap ends: moved by brk()", is_end=True),
    "mmap_base": Meaning("mmap() starts here to look for room"),
    "mmap_legacy_base": Meaning("the legacy layout starts here"),
    "start_stack": Meaning("the stack pointer when the program started"),
    "arg_start": Meaning("the arguments start"),
    "arg_end": Meaning("the arguments end", is_end=True),
    "env_start": Meaning("the environment starts"),
    "env_end": Meaning("the environment ends", is_end=True),
    "highest_vm_end": Meaning("the highest area ends", is_end=True),
    "task_size": Meaning("the user's half ends", is_end=True),
}
# What the two mean depends on the direction, which each mm has of its own
DOWN = {
    "mmap_base": Meaning("mmap() places areas below", is_end=True),
    "mmap_legacy_base": Meaning("or above this, where there is no room below"),
}
UP = {
    "mmap_base": Meaning("mmap() places areas above: the legacy layout"),
    "mmap_legacy_base": Meaning("the same in this layout"),
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
    directions: dict[bool | None, dict[str, Meaning]] = {
        True: DOWN,
        False: UP,
        None: {},
    }
    for name, meaning in (BOUNDARIES | directions[is_topdown(mm)]).items():
        address = getattr(read, name)
        if address is None:  # highest_vm_end ended in v6.1 (763ecb035029)
            continue
        inside = address - 1 if meaning.is_end and address else address
        area = vma_lookup(mm, inside)
        boundary = Boundary(
            name=name,
            address=address,
            meaning=meaning.text,
            vma=NULL if area is None else area.address,
            start=0 if area is None else area.vm_start,
            end=0 if area is None else area.vm_end,
            is_end=meaning.is_end,
        )
        found.append(boundary)
    return sorted(found, key=lambda boundary: boundary.address)
