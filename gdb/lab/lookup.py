# SPDX-License-Identifier: GPL-2.0-only
"""Which area holds an address: find_vma() in mm/mmap.c."""

from __future__ import annotations

from . import kernel, layout, maple
from .memory import Broken, Fault
from .mm import mm_struct
from .vma import VMA, is_listed, rb_node, tree_of

MAX_RB_DEPTH = 200  # twice what a red-black tree of 2**64 nodes can have


def find_vma(mm: int, address: int) -> tuple[int, tuple] | None:
    """The first area that ends above an address: it holds it, or is the next.

    Parameter: struct mm_struct *. None if all areas end at or below it. Found
    by way of the tree, as the kernel does. Raises Broken. See mm/mmap.c.
    """
    return _find_rb(mm, address) if is_listed() else _find_maple(mm, address)


def find_vma_prev(mm: int, address: int) -> tuple[int, tuple] | None:
    """The last area that starts below what find_vma() gives. Raises Broken."""
    found = find_vma(mm, address)
    if not is_listed():
        return _find_maple_below(mm, found[1].vm_start if found else 1 << 63)
    before = found[1].vm_prev if found else _last_rb(mm)
    return (before, _area(before)) if before else None


def _area(address: int) -> tuple:
    """Read one area. Raises Broken where there is none."""
    try:
        return VMA(kernel.memory(), address)
    except Fault as fault:
        raise Broken(f"an area cannot be read: {fault}") from None


def _find_rb(mm: int, address: int) -> tuple[int, tuple] | None:
    """Down the red-black tree, which is sorted by address."""
    inside = layout.offsetof("struct vm_area_struct", "vm_rb")
    node, best = mm_struct(mm).root, None
    for _ in range(MAX_RB_DEPTH):
        if not node:
            return best
        area = _area(node - inside)
        links = rb_node(node)
        if area.vm_end > address:
            best = node - inside, area
            node = links.rb_left
        else:
            node = links.rb_right
    raise Broken(f"mm_rb is a cycle: below {node:#x} it has no end")


def _last_rb(mm: int) -> int:
    """The struct vm_area_struct * at the right end of the tree, 0 if it is empty."""
    node = mm_struct(mm).root
    for _ in range(MAX_RB_DEPTH):
        right = rb_node(node).rb_right if node else 0
        if not right:
            inside = layout.offsetof("struct vm_area_struct", "vm_rb")
            return node - inside if node else 0
        node = right
    raise Broken(f"mm_rb is a cycle: right of {node:#x} it has no end")


def _find_maple(mm: int, address: int) -> tuple[int, tuple] | None:
    tree = tree_of(mm)
    while address < 1 << 64:
        _, last, entry = maple.mas_walk(tree, address)
        if entry:
            return entry, _area(entry)
        address = last + 1
    return None


def _find_maple_below(mm: int, address: int) -> tuple[int, tuple] | None:
    tree = tree_of(mm)
    while address > 0:
        first, _, entry = maple.mas_walk(tree, address - 1)
        if entry:
            return entry, _area(entry)
        address = first
    return None
