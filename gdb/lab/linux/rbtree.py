# SPDX-License-Identifier: GPL-2.0-only
"""The red-black tree of areas, mm->mm_rb, with its colours and gaps.

See include/linux/rbtree.h, rbtree_augmented.h and validate_mm_rb() in mm/mmap.c.
Gone since v6.1 (524e00b36e8c); vma.for_each_rb() is the walk without the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import NULL, Ptr
from ..target.memory import Broken, Fault
from . import mm as mm_
from .structs.lib import RbNode
from .structs.mm_types import MmStruct, VmAreaInTree, VmAreaStruct
from .vma import MAX_RB_DEPTH
from .vmflags import VM_GROWSDOWN

RB_BLACK = 1  # in the lowest bit of __rb_parent_color, under the parent's address


@dataclass(frozen=True)
class Node:
    """One area in the tree. Links are the vm_area_struct *, 0 for none."""

    vma: Ptr[VmAreaStruct]
    start: int
    end: int
    is_red: bool
    parent: Ptr[VmAreaStruct]
    left: Ptr[VmAreaStruct]
    right: Ptr[VmAreaStruct]
    gap: int  # rb_subtree_gap: the widest hole in front of any area below
    lowest: int  # the start, less the guard below a stack that may grow
    path: str  # from the root: "l" and "r"

    @property
    def depth(self) -> int:
        return len(self.path)


def in_order(mm: Ptr[MmStruct]) -> Iterator[Node]:
    """All nodes by address, as rb_next() goes.

    Raises Broken for a cycle and for a pointer that cannot be read, after what could be
    read.

    :param mm: struct mm_struct *
    """
    inside = structs.offsetof("struct vm_area_struct", "vm_rb")
    guard = _stack_guard_gap()
    link: Ptr[RbNode] = mm_.mm_struct(mm).mm_rb or NULL
    path = ""
    above: list[Node] = []
    seen: set[Ptr[RbNode]] = set()
    while link or above:
        while link:
            if link in seen or len(path) > MAX_RB_DEPTH:
                raise Broken(f"mm_rb is a cycle: node {link:#x} comes again")
            seen.add(link)
            above.append(_node(link, inside, guard, path))
            left = above[-1].left
            link = Ptr[RbNode](left + inside) if left else NULL
            path += "l"
        node = above.pop()
        yield node
        link = Ptr[RbNode](node.right + inside) if node.right else NULL
        path = node.path + "r"


def _node(link: Ptr[RbNode], inside: int, guard: int, path: str) -> Node:
    address = Ptr[VmAreaStruct](link - inside)
    try:
        read = VmAreaInTree(kernel.memory(), Ptr[VmAreaInTree](address))
    except Fault as fault:
        raise Broken(f"mm_rb is cut: {fault}") from None
    lowest = read.vm_start
    if read.vm_flags & VM_GROWSDOWN:
        lowest = max(lowest - guard, 0)

    def area(pointer: int) -> Ptr[VmAreaStruct]:
        return Ptr[VmAreaStruct](pointer - inside) if pointer else NULL

    return Node(
        vma=address,
        start=read.vm_start,
        end=read.vm_end,
        is_red=not read.parent_color & RB_BLACK,
        parent=area(read.parent_color & ~3),
        left=area(read.left),
        right=area(read.right),
        gap=read.rb_subtree_gap,
        lowest=lowest,
        path=path,
    )


def _stack_guard_gap() -> int:
    """How far below a stack nothing is placed: stack_guard_gap, mm/mmap.c."""
    return kernel.memory().u64(structs.address_of("stack_guard_gap"))


def check(nodes: list[Node]) -> list[tuple[str, str]]:
    """The rules of the tree, and where each is broken ("" if it holds).

    :param nodes: of the whole tree, in order
    """
    known = {node.vma: node for node in nodes}
    return [
        ("areas are in order of their addresses", _unsorted(nodes)),
        ("every node points back to its parent", _unrelated(nodes, known)),
        ("the root is black, and no red node has a red child", _red(nodes, known)),
        ("all ways down have the same number of black nodes", _unbalanced(nodes)),
        ("rb_subtree_gap is the widest gap below", _wrong_gap(nodes)),
    ]


def _unsorted(nodes: list[Node]) -> str:
    for node, after in zip(nodes, nodes[1:]):
        if node.end > after.start:
            return f"{node.vma:#x} ends above the start of {after.vma:#x}"
    return ""


def _unrelated(nodes: list[Node], known: dict[Ptr[VmAreaStruct], Node]) -> str:
    for node in nodes:
        for child in (node.left, node.right):
            if child and known[child].parent != node.vma:
                return (
                    f"{child:#x} has parent {known[child].parent:#x}, not {node.vma:#x}"
                )
        if not node.path and node.parent:
            return f"the root {node.vma:#x} has parent {node.parent:#x}"
    return ""


def _red(nodes: list[Node], known: dict[Ptr[VmAreaStruct], Node]) -> str:
    for node in nodes:
        if node.is_red and not node.path:
            return f"the root {node.vma:#x} is red"
        for child in filter(None, (node.left, node.right)):
            if node.is_red and known[child].is_red:
                return f"{node.vma:#x} and its child {child:#x} are red"
    return ""


def black_height(nodes: list[Node]) -> dict[Ptr[VmAreaStruct], set[int]]:
    """For each node how many black nodes stand on the ways down from it."""
    heights: dict[Ptr[VmAreaStruct], set[int]] = {NULL: {0}}
    for node in sorted(nodes, key=lambda node: -node.depth):
        below = heights[node.left] | heights[node.right]
        heights[node.vma] = {height + (not node.is_red) for height in below}
    return heights


def _unbalanced(nodes: list[Node]) -> str:
    heights = black_height(nodes)
    for node in nodes:
        if len(heights[node.vma]) > 1:
            found = sorted(heights[node.vma])
            return f"below {node.vma:#x} there are {found[0]} or {found[-1]}"
    return ""


def _wrong_gap(nodes: list[Node]) -> str:
    """See vma_compute_gap() and vma_compute_subtree_gap()."""
    widest: dict[Ptr[VmAreaStruct], int] = {NULL: 0}
    end = 0
    for node in nodes:
        widest[node.vma] = max(node.lowest - end, 0)
        end = node.end
    for node in sorted(nodes, key=lambda node: -node.depth):
        children = max(widest[node.left], widest[node.right])
        gap = widest[node.vma] = max(widest[node.vma], children)
        if node.gap != gap:
            return f"{node.vma:#x} records {node.gap:#x}, the widest below is {gap:#x}"
    return ""
