# SPDX-License-Identifier: GPL-2.0-only
"""The maple tree: lib/maple_tree.c, include/linux/maple_tree.h (v6.1 and later).

A B-tree over ranges. A node of 256 bytes has slots, and between them pivots:
slot i holds what lies in (pivot[i - 1], pivot[i]]. In a leaf that is an entry
of the user, else a pointer to a node, whose type is in the low byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Iterator

from ..target import kernel, structs
from ..target.cstruct import NULL, Ptr
from ..target.memory import Broken, Fault
from .structs.lib import MapleNode, MapleTree

NODE_MASK = 255  # MAPLE_NODE_MASK
TYPE_SHIFT = 3  # MAPLE_NODE_TYPE_SHIFT
TYPE_MASK = 15  # MAPLE_NODE_TYPE_MASK
FLAGS = {1: "ALLOC_RANGE (gaps are kept)", 2: "USE_RCU"}  # MT_FLAGS_...
HEIGHT_SHIFT, HEIGHT_MASK = 2, 0x7C
LOCK_SHIFT, LOCK_MASK = 8, 0x300
LOCKS = ("", "LOCK_IRQ", "LOCK_BH", "LOCK_EXTERN (by mmap_lock)")
ROOT_PARENT = 1  # MA_ROOT_PARENT: the rest is the address of the tree
PARENT_SLOT_SHIFT, PARENT_SLOT_MASK = 3, 0xF8  # of nodes with 64-bit pivots
XA_ZERO_ENTRY = 257 << 2 | 2  # a reserved slot: include/linux/xarray.h
MAX_DEPTH = 31  # MAPLE_HEIGHT_MAX


@dataclass(frozen=True)
class Node:
    """One node of a tree, decoded."""

    address: Ptr[MapleNode]
    type: str  # leaf_64, range_64 or arange_64
    depth: int  # 0 for the root
    min: int  # first and last index below this node
    max: int
    pivots: tuple[int, ...]
    slots: tuple[Ptr[Any], ...]  # as many as are used
    gaps: tuple[int, ...]  # of arange_64: the widest gap below each slot
    room: int  # how many slots it has
    parent: Ptr[Any]  # struct maple_node *, or the struct maple_tree * of the root
    parent_slot: int  # which slot of the parent leads here; 0 for the root
    meta_end: int | None  # struct maple_metadata, where the node has room for it
    meta_gap: int | None  # the slot with the widest gap

    @property
    def is_leaf(self) -> bool:
        return self.type == "leaf_64"

    def ranges(self) -> Iterator[tuple[int, int, Ptr[Any]]]:
        """First and last index of each slot, and what is in the slot."""
        first = self.min
        for last, slot in zip((*self.pivots, self.max), self.slots):
            yield first, last, slot
            first = last + 1


@structs.cached
def _types() -> dict[int, str]:
    return {
        value: name.removeprefix("maple_")
        for name, value in structs.enumerators("enum maple_type").items()
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
    meta_at: int


@structs.cached
def _shape(kind: str) -> _Shape:
    name = "struct maple_arange_64" if kind == "arange_64" else "struct maple_range_64"

    def array(member: str) -> tuple[int, struct.Struct]:
        at, kind_of = structs.member(name, member)
        return at, struct.Struct(f"<{kind_of.size // 8}Q")

    pivot_at, pivots = array("pivot")
    slot_at, slots = array("slot")
    gap_at = array("gap")[0] if structs.has_member(name, "gap") else None
    meta_at = structs.offsetof(name, "meta")
    parent = struct.Struct("<Q")
    return _Shape(parent, pivots, pivot_at, slots, slot_at, gap_at, meta_at)


def xa_is_node(entry: Ptr[Any]) -> bool:
    """Is a root or slot a node, and not an entry of the user?"""
    return entry & 3 == 2 and entry > 4096


def read_node(entry: Ptr[Any], depth: int, first: int, last: int) -> Node:
    """Decode the node that an encoded pointer (enum maple_type in it) names.

    Raises Broken for a node that is dead, of an unknown type, or unreadable.
    """
    address = Ptr[MapleNode](entry & ~NODE_MASK)
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
    parent = shape.parent.unpack_from(raw)[0]
    if parent & ~NODE_MASK == address:
        raise Broken(f"node {address:#x} is dead: its parent is itself")
    pivots = shape.pivots.unpack_from(raw, shape.pivot_at)
    slots = shape.slots.unpack_from(raw, shape.slot_at)
    end = _data_end(pivots, last)
    gaps: tuple[int, ...] = ()
    if shape.gap_at is not None:
        gaps = shape.slots.unpack_from(raw, shape.gap_at)[: end + 1]
    is_root = parent & ROOT_PARENT
    # A node of ranges has its metadata in the last slot, while that is free
    has_meta = shape.gap_at is not None or not pivots[-1]
    return Node(
        address=address,
        type=kind,
        depth=depth,
        min=first,
        max=last,
        pivots=pivots[:end],
        slots=slots[: end + 1],
        gaps=gaps,
        room=len(slots),
        parent=Ptr[Any](parent & ~(ROOT_PARENT if is_root else NODE_MASK)),
        parent_slot=0 if is_root else (parent & PARENT_SLOT_MASK) >> PARENT_SLOT_SHIFT,
        meta_end=raw[shape.meta_at] if has_meta else None,
        meta_gap=raw[shape.meta_at + 1] if has_meta else None,
    )


def _data_end(pivots: tuple[int, ...], last: int) -> int:
    """The index of the last used slot: ma_data_end()."""
    for i, pivot in enumerate(pivots):
        if pivot >= last or (i and not pivot):
            return i
    return len(pivots)


def maple_tree(tree: Ptr[MapleTree]) -> MapleTree:
    """Read a struct maple_tree. Raises Fault."""
    return MapleTree(kernel.memory(), tree)


def mt_height(tree: MapleTree) -> int:
    """How many nodes stand above one another."""
    return (tree.ma_flags & HEIGHT_MASK) >> HEIGHT_SHIFT


def flag_names(tree: MapleTree) -> list[str]:
    """The names of ma_flags without MT_FLAGS_, the lock's last."""
    names = [name for bit, name in FLAGS.items() if tree.ma_flags & bit]
    lock = LOCKS[(tree.ma_flags & LOCK_MASK) >> LOCK_SHIFT]
    return [*names, lock] if lock else names


def for_each_node(tree: Ptr[MapleTree]) -> Iterator[Node]:
    """All nodes of a tree, each before those below it, from low to high index.

    Yields nothing for a tree that is empty or has one entry in its root. Raises Broken,
    after what could be read.

    :param tree: struct maple_tree *
    """
    root = maple_tree(tree).ma_root
    if not xa_is_node(root):
        return
    seen: set[int] = set()
    below: list[tuple[Ptr[Any], int, int, int]] = [(root, 0, 0, (1 << 64) - 1)]
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


def mas_for_each(tree: Ptr[MapleTree]) -> Iterator[tuple[int, int, Ptr[Any]]]:
    """The entries of a tree in order: first index, last index, entry.

    Raises Broken, after what could be read.

    :param tree: struct maple_tree *
    """
    root = maple_tree(tree).ma_root
    if root and not xa_is_node(root):
        yield 0, 0, root
    for node in for_each_node(tree):
        if node.is_leaf:
            for first, last, entry in node.ranges():
                if entry and entry != XA_ZERO_ENTRY:
                    yield first, last, entry


def mas_walk(tree: Ptr[MapleTree], index: int) -> tuple[int, int, Ptr[Any]]:
    """What stands at an index: first and last index of its range, and the entry.

    The entry is 0 in a gap.

    :param tree: struct maple_tree *
    :raises Broken: a list or tree is damaged
    """
    entry: Ptr[Any] = maple_tree(tree).ma_root
    first, last = 0, (1 << 64) - 1
    if not xa_is_node(entry):  # empty, or one entry, which stands at 0
        if entry and index == 0:
            return 0, 0, entry
        return 1 if entry else 0, last, NULL
    for depth in range(MAX_DEPTH):
        node = read_node(entry, depth, first, last)
        for first, last, entry in node.ranges():
            if index <= last:
                break
        if node.is_leaf:
            return first, last, NULL if entry == XA_ZERO_ENTRY else entry
    raise Broken(f"node {entry:#x} lies deeper than a maple tree can be")
