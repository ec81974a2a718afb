# SPDX-License-Identifier: GPL-2.0-only
"""lab rb: the red-black tree of areas, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..linux import rbtree, vma
from ..linux.structs.mm_types import MmStruct
from ..result import Drawing, Report, Table
from ..sizes import rough_size
from ..target.cstruct import Ptr
from ..target.memory import Broken
from .trees import RuleRow, namer, rules_table

NO_TREE = (
    "This kernel has no red-black tree of areas: the maple tree mm->mm_mt replaced it "
    "in Linux 6.1 (d4af56c5c7c6 put the areas into it, 524e00b36e8c took mm_rb away): "
    "see `lab maple`."
)


@dataclass
class RbReport(Report, schema="rb"):
    """The red-black tree of areas, or a sentence on why there is none, and its rules."""

    none: str | None = None
    nodes: Drawing[list[dict[str, Any]]] | None = None
    size: str | None = None
    rules: Table[RuleRow] | None = None


def describe(mm: Ptr[MmStruct]) -> RbReport:
    """Walk the red-black tree mm->mm_rb in order."""
    if not vma.is_listed():
        return RbReport(none=NO_TREE)
    data: list[dict[str, Any]] = []
    drawing = Drawing("", [], data)
    nodes: list[rbtree.Node] = []
    name = namer(mm)
    try:
        for node in rbtree.in_order(mm):
            nodes.append(node)
            drawing.lines.append(_rb_line(node, name(node.vma)))
            drawing.data.append(_rb_data(node))
    except Broken as broken:
        drawing.broken = str(broken)
        return RbReport(nodes=drawing)
    height = max((node.depth for node in nodes), default=-1) + 1
    size = f"{len(nodes)} areas, at most {height} steps from the root to any."
    return RbReport(None, drawing, size, rules_table(rbtree.check(nodes)))


def _rb_line(node: rbtree.Node, name: str) -> str:
    """The line of a node, with the branches that pass it on their way down."""
    path = node.path
    bars = ["│   " if here != after else "    " for here, after in zip(path, path[1:])]
    corner = {"": "", "l": "┌── ", "r": "└── "}[path[-1:]]
    colour = "R" if node.is_red else "B"
    return f"{''.join(bars)}{corner}{colour} {name}  gap {rough_size(node.gap)}"


def _rb_data(node: rbtree.Node) -> dict[str, Any]:
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
