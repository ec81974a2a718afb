# SPDX-License-Identifier: GPL-2.0-only
"""Made-up address spaces for unit tests: a list and a red-black tree, or a maple tree."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from lab.linux import maple
from lab.target import structs
from made_up import Guest

PAGE = 4096
VMA = "struct vm_area_struct"
RED, BLACK = 0, 1
GUARD = 256 * PAGE  # stack_guard_gap
TOP = (1 << 64) - 1
MM_MT_FLAGS = 0x303  # ALLOC_RANGE, USE_RCU, LOCK_EXTERN: include/linux/mm_types.h

Range = tuple[int, int]


@dataclass
class Space:
    """A struct mm_struct with some areas."""

    guest: Guest
    mm: int
    areas: list[int]  # struct vm_area_struct *, by address
    nodes: list[int] = field(
        default_factory=list
    )  # struct maple_node *, the root first

    def member(self, number: int, path: str, value: int) -> None:
        """Change a member of an area."""
        self.guest.set(VMA, self.areas[number], path, value)

    def node_of(self, number: int) -> int:
        """Return the struct rb_node * of an area."""
        return self.areas[number] + structs.offsetof(VMA, "vm_rb")


def space(guest: Guest, *ranges: Range, **members: int) -> Space:
    """Make an mm with areas of these starts and ends, in order."""
    mm = guest.put("struct mm_struct", {"map_count": len(ranges), "task_size": 1 << 47})
    for path, value in members.items():
        guest.set("struct mm_struct", mm, path, value)
    areas = [
        guest.put(
            VMA, {"vm_start": start, "vm_end": end, "vm_mm": mm, "vm_flags": 0x73}
        )
        for start, end in ranges
    ]
    made = Space(guest, mm, areas)
    if guest.has("struct mm_struct", "mm_rb"):
        guest.variable("stack_guard_gap", GUARD)
        _chain(made)
        _rb_tree(made, list(ranges))
    else:
        _maple_tree(made, list(ranges))
    return made


def _chain(made: Space) -> None:
    """Link the areas by vm_next and vm_prev."""
    links = [0, *made.areas, 0]
    for i, area in enumerate(made.areas, 1):
        made.guest.put(VMA, {"vm_next": links[i + 1], "vm_prev": links[i - 1]}, area)
    made.guest.set("struct mm_struct", made.mm, "mmap", links[1])


def _rb_tree(made: Space, ranges: list[Range]) -> None:
    """Make a balanced tree in which only the lowest row is red, unless it is full."""
    guest, inside = made.guest, structs.offsetof(VMA, "vm_rb")
    full = (len(ranges) + 1).bit_length() - 1  # rows that are full

    def build(low: int, high: int, depth: int, parent: int) -> tuple[int, int]:
        """Make the subtree of areas [low, high): its root, and the widest gap in it."""
        if low >= high:
            return 0, 0
        middle = (low + high) // 2
        node = made.areas[middle] + inside
        left, gap_left = build(low, middle, depth + 1, node)
        right, gap_right = build(middle + 1, high, depth + 1, node)
        before = ranges[middle - 1][1] if middle else 0
        gap = max(ranges[middle][0] - before, gap_left, gap_right)
        colour = RED if depth >= full else BLACK
        members = {"vm_rb.rb_left": left, "vm_rb.rb_right": right}
        members |= {"vm_rb.__rb_parent_color": parent | colour, "rb_subtree_gap": gap}
        guest.put(VMA, members, made.areas[middle])
        return node, gap

    root, _ = build(0, len(ranges), 0, 0)
    guest.set("struct mm_struct", made.mm, "mm_rb.rb_node", root)


def tree_of(made: Space) -> int:
    """Return the struct maple_tree * of an mm."""
    return made.mm + structs.offsetof("struct mm_struct", "mm_mt")


def _maple_tree(made: Space, ranges: list[Range]) -> None:
    """Make a tree of one leaf, or of one node with leaves of eight slots."""
    slots: list[tuple[int, int]] = []  # last index and entry
    before = 0
    for (start, end), area in zip(ranges, made.areas):
        if start > before:
            slots.append((start - 1, 0))
        slots.append((end - 1, area))
        before = end
    slots.append((TOP, 0))
    tree, height = tree_of(made), 1
    if not ranges:
        root = 0
        height = 0
    elif len(slots) <= 16:
        leaf = node(made)
        fill_leaf(made, leaf, slots, tree | maple.ROOT_PARENT)
        root = encoded(leaf, "leaf_64")
    else:
        root, height = _two_levels(made, slots, tree), 2
    flags = height << maple.HEIGHT_SHIFT | MM_MT_FLAGS
    made.guest.put("struct maple_tree", {"ma_root": root, "ma_flags": flags}, tree)


def _two_levels(made: Space, slots: list[tuple[int, int]], tree: int) -> int:
    top = node(made)
    groups = [slots[i : i + 8] for i in range(0, len(slots), 8)]
    leaves, gaps, first = [], [], 0
    for number, group in enumerate(groups):
        leaf = node(made)
        parent = top | number << maple.PARENT_SLOT_SHIFT | 6
        fill_leaf(made, leaf, group, parent)
        leaves.append((group[-1][0], encoded(leaf, "leaf_64")))
        gaps.append(widest(group, first))
        first = group[-1][0] + 1
    data = bytearray(256)
    struct.pack_into("<Q", data, 0, tree | maple.ROOT_PARENT)
    for number, ((last, child), gap) in enumerate(zip(leaves, gaps)):
        kind = "struct maple_arange_64"
        if last != TOP:
            _put(data, kind, "pivot", number, last)
        _put(data, kind, "slot", number, child)
        _put(data, kind, "gap", number, gap)
    meta = structs.offsetof("struct maple_arange_64", "meta")
    data[meta], data[meta + 1] = len(leaves) - 1, gaps.index(max(gaps))
    made.guest.write(top, bytes(data))
    return encoded(top, "arange_64")


def widest(group: list[tuple[int, int]], first: int) -> int:
    """Return the widest gap of a leaf that starts at index first."""
    gap = 0
    for last, entry in group:
        if not entry:
            gap = max(gap, last - first + 1)
        first = last + 1
    return gap


def node(made: Space) -> int:
    """Make room for a struct maple_node, which is aligned to its size."""
    made.nodes.append(made.guest.room(256, 256))
    return made.nodes[-1]


def encoded(address: int, kind: str) -> int:
    """Encode a node's address for a slot: mt_mk_node()."""
    number = structs.enumerators("enum maple_type")[f"maple_{kind}"]
    return address | number << maple.TYPE_SHIFT | 2


def fill_leaf(
    made: Space, leaf: int, slots: list[tuple[int, int]], parent: int
) -> None:
    """Write a leaf."""
    data = bytearray(256)
    struct.pack_into("<Q", data, 0, parent)
    kind = "struct maple_range_64"
    for number, (last, entry) in enumerate(slots):
        if last != TOP and number < 15:
            _put(data, kind, "pivot", number, last)
        _put(data, kind, "slot", number, entry)
    if len(slots) < 16:
        data[structs.offsetof(kind, "meta")] = len(slots) - 1
    made.guest.write(leaf, bytes(data))


def _put(data: bytearray, kind: str, member: str, number: int, value: int) -> None:
    at = structs.offsetof(kind, member) + 8 * number
    struct.pack_into("<Q", data, at, value)
