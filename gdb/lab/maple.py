# SPDX-License-Identifier: GPL-2.0-only
"""The maple tree: lib/maple_tree.c, include/linux/maple_tree.h (v6.1 and later).

A B-tree over ranges. A node of 256 bytes has slots, and between them pivots:
slot i holds what lies in (pivot[i - 1], pivot[i]]. In a leaf that is an entry
of the user, else a pointer to a node; its low byte says of which type that is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator

from . import kernel, layout
from .memory import Broken, Fault

NODE_MASK = 255  # MAPLE_NODE_MASK
TYPE_SHIFT = 3  # MAPLE_NODE_TYPE_SHIFT
TYPE_MASK = 15  # MAPLE_NODE_TYPE_MASK
XA_ZERO_ENTRY = 257 << 2 | 2  # a reserved slot: include/linux/xarray.h
MAX_DEPTH = 31  # MAPLE_HEIGHT_MAX

TREE = layout.Form("struct maple_tree", "ma_root", "ma_flags")


@dataclass(frozen=True)
class Node:
    """One node of a tree, decoded."""

    address: int  # struct maple_node *
    type: str  # leaf_64, range_64 or arange_64
    depth: int  # 0 for the root
    min: int  # first and last index below this node
    max: int
    pivots: tuple[int, ...]
    slots: tuple[int, ...]  # as many as are used
    gaps: tuple[int, ...]  # of arange_64: the widest gap below each slot

    @property
    def is_leaf(self) -> bool:
        return self.type == "leaf_64"

    def ranges(self) -> Iterator[tuple[int, int, int]]:
        """First and last index of each slot, and what is in the slot."""
        first = self.min
        for last, slot in zip((*self.pivots, self.max), self.slots):
            yield first, last, slot
            first = last + 1


@layout.cached
def _types() -> dict[int, str]:
    return {
        value: name.removeprefix("maple_")
        for name, value in layout.enumerators("enum maple_type").items()
    }


@dataclass(frozen=True)
class _Shape:
    """How a type of node is laid out: where its arrays are and their lengths."""

    parent: struct.Struct
    pivots: struct.Struct
    pivot_at: int
    slots: struct.Struct
    slot_at: int
    gap_at: int | None


@layout.cached
def _shape(kind: str) -> _Shape:
    name = "struct maple_arange_64" if kind == "arange_64" else "struct maple_range_64"

    def array(member: str) -> tuple[int, struct.Struct]:
        at, kind_of = layout.member(name, member)
        return at, struct.Struct(f"<{kind_of.sizeof // 8}Q")

    pivot_at, pivots = array("pivot")
    slot_at, slots = array("slot")
    gap_at = array("gap")[0] if layout.has_member(name, "gap") else None
    return _Shape(struct.Struct("<Q"), pivots, pivot_at, slots, slot_at, gap_at)


def xa_is_node(entry: int) -> bool:
    """Is a root or slot a node, and not an entry of the user?"""
    return entry & 3 == 2 and entry > 4096


def read_node(entry: int, depth: int, first: int, last: int) -> Node:
    """Decode the node that an encoded pointer (enum maple_type in it) names.

    Raises Broken for a node that is dead, of an unknown type, or unreadable.
    """
    address = entry & ~NODE_MASK
    kind = _types().get(entry >> TYPE_SHIFT & TYPE_MASK, "")
    if kind not in ("leaf_64", "range_64", "arange_64"):
        raise Broken(
            f"node {entry:#x} is of a type that does not stand in a tree of areas"
        )
    shape = _shape(kind)
    try:
        raw = kernel.memory().read(address, NODE_MASK + 1)
    except Fault as fault:
        raise Broken(f"node {entry:#x} cannot be read: {fault.reason}") from None
    if shape.parent.unpack_from(raw)[0] & ~NODE_MASK == address:
        raise Broken(f"node {address:#x} is dead: its parent is itself")
    pivots = shape.pivots.unpack_from(raw, shape.pivot_at)
    slots = shape.slots.unpack_from(raw, shape.slot_at)
    end = _data_end(pivots, last)
    gaps: tuple[int, ...] = ()
    if shape.gap_at is not None:
        gaps = shape.slots.unpack_from(raw, shape.gap_at)[: end + 1]
    return Node(address, kind, depth, first, last, pivots[:end], slots[: end + 1], gaps)


def _data_end(pivots: tuple[int, ...], last: int) -> int:
    """The index of the last used slot: ma_data_end()."""
    for i, pivot in enumerate(pivots):
        if pivot >= last or (i and not pivot):
            return i
    return len(pivots)


def for_each_node(tree: int) -> Iterator[Node]:
    """All nodes of a tree, each before those below it, from low to high index.

    Parameter: struct maple_tree *. Yields nothing for a tree that is empty or
    has one entry in its root. Raises Broken, after what could be read.
    """
    root = TREE(kernel.memory(), tree).ma_root
    if not xa_is_node(root):
        return
    seen: set[int] = set()
    below = [(root, 0, 0, (1 << 64) - 1)]
    while below:
        entry, depth, first, last = below.pop()
        if entry & ~NODE_MASK in seen or depth > MAX_DEPTH:
            raise Broken(f"node {entry:#x} comes twice")
        seen.add(entry & ~NODE_MASK)
        node = read_node(entry, depth, first, last)
        yield node
        if not node.is_leaf:
            below += [
                (slot, depth + 1, low, high)
                for low, high, slot in reversed(list(node.ranges()))
            ]


def mas_for_each(tree: int) -> Iterator[tuple[int, int, int]]:
    """The entries of a tree in order: first index, last index, entry.

    Parameter: struct maple_tree *. Raises Broken, after what could be read.
    """
    root = TREE(kernel.memory(), tree).ma_root
    if root and not xa_is_node(root):
        yield 0, 0, root
    for node in for_each_node(tree):
        if node.is_leaf:
            for first, last, entry in node.ranges():
                if entry and entry != XA_ZERO_ENTRY:
                    yield first, last, entry


def mas_walk(tree: int, index: int) -> tuple[int, int, int]:
    """What stands at an index: first and last index of its range, and the entry.

    The entry is 0 in a gap. Parameters: struct maple_tree *, index. Raises
    Broken.
    """
    root = TREE(kernel.memory(), tree).ma_root
    first, last, depth = 0, (1 << 64) - 1, 0
    entry = root if xa_is_node(root) or index == 0 else 0
    while xa_is_node(entry):
        if depth > MAX_DEPTH:
            raise Broken(f"node {entry:#x} lies deeper than a maple tree can be")
        node = read_node(entry, depth, first, last)
        for first, last, entry in node.ranges():
            if index <= last:
                break
        depth += 1
        if node.is_leaf:
            break
    return first, last, 0 if entry == XA_ZERO_ENTRY else entry


def check_gaps(tree: int) -> str:
    """Where a gap recorded in a node is not the widest below its slot.

    Parameter: struct maple_tree *. Empty if all are right. Raises Broken. See
    mas_validate_gaps().
    """
    nodes = list(for_each_node(tree))
    widest: dict[int, int] = {}
    for node in reversed(nodes):
        found = []
        for i, (first, last, slot) in enumerate(node.ranges()):
            if node.is_leaf:
                gap = 0 if slot else last - first + 1
            else:
                gap = widest[slot & ~NODE_MASK]
                if node.gaps and node.gaps[i] != gap:
                    return (
                        f"node {node.address:#x} slot {i} records a gap of "
                        f"{node.gaps[i]:#x}, below it is {gap:#x}"
                    )
            found.append(gap)
        widest[node.address] = max(found, default=0)
    return ""
