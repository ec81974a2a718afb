# SPDX-License-Identifier: GPL-2.0-only
"""The rules of a maple tree: mt_validate() in lib/maple_tree.c."""

from __future__ import annotations

from ..target.cstruct import Ptr
from .maple import NODE_MASK, Node, for_each_node, maple_tree, mt_height
from .structs.lib import MapleTree

META_MAX = 15  # MAPLE_ARANGE64_META_MAX: there is no gap


def check(tree: Ptr[MapleTree]) -> list[tuple[str, str]]:
    """The rules, and where each is broken ("" where it holds).

    :param tree: struct maple_tree *
    :raises Broken: a list or tree is damaged
    """
    nodes = list(for_each_node(tree))
    return [
        ("every node points back to its parent and slot", _unrelated(tree, nodes)),
        ("pivots rise, within the range of their node", _unsorted(nodes)),
        ("leaves stand at the height the tree tells", _uneven(tree, nodes)),
        ("metadata tells the last slot in use", _wrong_end(nodes)),
        ("metadata tells the slot with the widest gap", _wrong_widest(nodes)),
        ("the tree's gaps are the widest below", wrong_gap(nodes)),
    ]


def check_gaps(tree: Ptr[MapleTree]) -> str:
    """Where a gap recorded in a node is not the widest below its slot.

    Empty if all are right. See mas_validate_gaps().

    :param tree: struct maple_tree *
    :raises Broken: a list or tree is damaged
    """
    return wrong_gap(list(for_each_node(tree)))


def wrong_gap(nodes: list[Node]) -> str:
    """check_gaps() for nodes that were read, each before those below it."""
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


def _unrelated(tree: Ptr[MapleTree], nodes: list[Node]) -> str:
    expected: dict[int, tuple[int, int]] = {}
    for node in nodes:
        parent, slot = expected.get(node.address, (tree, 0))
        if (node.parent, node.parent_slot) != (parent, slot):
            return (
                f"node {node.address:#x} names {node.parent:#x} slot "
                f"{node.parent_slot}, it hangs on {parent:#x} slot {slot}"
            )
        if not node.is_leaf:
            for i, below in enumerate(node.slots):
                expected[below & ~NODE_MASK] = (node.address, i)
    return ""


def _unsorted(nodes: list[Node]) -> str:
    for node in nodes:
        before = node.min - 1
        for first, last, _ in node.ranges():
            if first != before + 1 or not first <= last <= node.max:
                return f"node {node.address:#x} has a slot {first:#x}-{last:#x}"
            before = last
        if before != node.max:
            return f"node {node.address:#x} ends at {before:#x}, not {node.max:#x}"
    return ""


def _uneven(tree: Ptr[MapleTree], nodes: list[Node]) -> str:
    height = mt_height(maple_tree(tree))
    for node in nodes:
        if node.is_leaf != (node.depth + 1 == height):
            return f"{node.type} {node.address:#x} is {node.depth + 1} high of {height}"
    return ""


def _wrong_end(nodes: list[Node]) -> str:
    for node in nodes:
        if node.meta_end is not None and node.meta_end != len(node.slots) - 1:
            end = len(node.slots) - 1
            return f"node {node.address:#x} tells {node.meta_end}, it is {end}"
    return ""


def _wrong_widest(nodes: list[Node]) -> str:
    for node in nodes:
        if not node.gaps:
            continue
        if node.meta_gap == META_MAX:
            if max(node.gaps):
                return f"node {node.address:#x} tells that there is no gap below"
            continue
        if node.meta_gap is None or node.meta_gap >= len(node.gaps):
            return f"node {node.address:#x} tells slot {node.meta_gap}, which is unused"
        if node.gaps[node.meta_gap] != max(node.gaps):
            return (
                f"node {node.address:#x} tells slot {node.meta_gap}, another is wider"
            )
    return ""
