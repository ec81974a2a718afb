# SPDX-License-Identifier: GPL-2.0-only
"""lab rb: the red-black tree of areas, drawn."""

from __future__ import annotations

from ..linux import rbtree, vma
from ..result import Drawing, Result
from ..sizes import rough_size
from ..target.memory import Broken
from .base import LabCommand, mm_of
from .trees import namer, rules_table

NO_TREE = (
    "This kernel has no red-black tree of areas: the maple tree mm->mm_mt replaced it "
    "in Linux 6.1 (d4af56c5c7c6 put the areas into it, 524e00b36e8c took mm_rb away): "
    "see `lab maple`."
)


class Rb(LabCommand):
    """The red-black tree of areas, drawn: lab rb [PID] [--json]

    The tree lies on its side: the root is at the left, areas with lower addresses
    stand above, so that read downwards they are in order. Each node has its colour
    (B black, R red), its area, and rb_subtree_gap, the widest hole in front of an
    area below it, by which the kernel finds room for a new one. Then the rules of
    such a tree, checked. Linux 6.1 and later have no such tree; the command says
    what they have.

    Example:
        (gdb) lab rb 1
    """

    name = "rb"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        if not vma.is_listed():
            return Result([NO_TREE])
        drawing = Drawing("", [], [])
        nodes: list[rbtree.Node] = []
        name = namer(mm)
        try:
            for node in rbtree.in_order(mm):
                nodes.append(node)
                drawing.lines.append(_rb_line(node, name(node.vma)))
                drawing.data.append(_rb_data(node))
        except Broken as broken:
            drawing.broken = str(broken)
            return Result([drawing])
        height = max((node.depth for node in nodes), default=-1) + 1
        said = f"{len(nodes)} areas, at most {height} steps from the root to any."
        return Result([drawing, said, rules_table(rbtree.check(nodes))])


def _rb_line(node: rbtree.Node, name: str) -> str:
    """A node of a tree that lies on its side, with the branches that pass by."""
    path = node.path
    bars = ["│   " if here != after else "    " for here, after in zip(path, path[1:])]
    corner = {"": "", "l": "┌── ", "r": "└── "}[path[-1:]]
    colour = "R" if node.is_red else "B"
    return f"{''.join(bars)}{corner}{colour} {name}  gap {rough_size(node.gap)}"


def _rb_data(node: rbtree.Node) -> dict[str, object]:
    return {
        "vma": node.vma,
        "start": node.start,
        "end": node.end,
        "colour": "red" if node.is_red else "black",
        "depth": node.depth,
        "parent": node.parent,
        "left": node.left,
        "right": node.right,
        "rb_subtree_gap": node.gap,
    }
