# SPDX-License-Identifier: GPL-2.0-only
"""lab maple: the maple tree of areas, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from ..linux import maple, maple_check, vma
from ..linux.structs.lib import MapleTree
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..result import Drawing, Report, Table
from ..sizes import rough_size
from ..target.cstruct import Ptr
from ..target.memory import Broken
from .trees import RuleRow, namer, rules_table

NO_MAPLE = (
    "This kernel has no maple tree: it came with Linux 6.1 (54a611b60590; areas are in "
    "it since d4af56c5c7c6) and replaced the list and the red-black tree that this "
    "kernel has: see `lab list` and `lab rb`."
)


@dataclass
class MapleReport(Report, schema="maple"):
    """The maple tree of areas, or a sentence on why there is none, and its rules."""

    none: str | None = None
    tree: Drawing[dict[str, Any]] | None = None
    rules: Table[RuleRow] | None = None


def describe(mm: Ptr[MmStruct]) -> MapleReport:
    """Walk the maple tree mm->mm_mt."""
    if vma.is_listed():
        return MapleReport(none=NO_MAPLE)
    tree = vma.tree_of(mm)
    head = maple.maple_tree(tree)
    data: dict[str, Any] = {"tree": tree, "nodes": []}
    drawing = Drawing("", [_maple_head(tree, head)], data)
    nodes: dict[int, maple.Node] = {}
    try:
        for node in maple.for_each_node(tree):
            nodes[node.address] = node
    except Broken as broken:
        drawing.broken = str(broken)
    drawing.data |= {"root": head.ma_root, "flags": head.ma_flags}
    drawing.data["nodes"] = [_maple_data(node) for node in nodes.values()]
    name = namer(mm)
    if maple.xa_is_node(head.ma_root):
        first = head.ma_root & ~maple.NODE_MASK
        drawing.lines += _maple_lines(nodes, first, "", "└─ ", name)
    elif head.ma_root:
        drawing.lines.append(f"└─ one area: {name(Ptr[VmAreaStruct](head.ma_root))}")
    if drawing.broken:
        return MapleReport(tree=drawing)
    return MapleReport(None, drawing, rules_table(maple_check.check(tree)))


def _maple_head(tree: Ptr[MapleTree], head: MapleTree) -> str:
    flags, height = " ".join(maple.flag_names(head)), maple.mt_height(head)
    return f"maple_tree {tree:#x}: ma_root {head.ma_root:#x}, height {height}, {flags}"


def _maple_lines(
    nodes: dict[int, maple.Node],
    address: int,
    before: str,
    branch: str,
    name: Callable[[Ptr[VmAreaStruct]], str],
) -> list[str]:
    """A node and what is below it, drawn.

    :param before: what is left of each of its lines
    :param branch: the line that leads to it
    """
    node = nodes.pop(address, None)  # once only, so that a cycle ends
    if node is None:
        return [f"{before}{branch}{address:#x} was not read, or is drawn already"]
    head = f"{node.type} {address:#x}, {len(node.slots)} of {node.room} slots"
    head += f", {node.min:#x}-{node.max:#x}"
    if node.meta_end is not None:
        head += f", meta end {node.meta_end}"
    if node.gaps:
        has_gap = node.meta_gap != maple_check.META_MAX
        head += f", widest gap in {node.meta_gap}" if has_gap else ", no gap"
    lines = [f"{before}{branch}{head}"]
    before += "   " if branch.startswith("└") else "│  "
    for i, (first, last, slot) in enumerate(node.ranges()):
        is_last = i + 1 == len(node.slots)
        corner = "└" if is_last else "├"
        if node.is_leaf:
            what = name(slot) if slot else f"gap {rough_size(last - first + 1)}"
            lines.append(f"{before}{corner}─ {i:2} to {last:#x}: {what}")
            continue
        gap = f", widest gap {rough_size(node.gaps[i])}" if node.gaps else ""
        lines.append(f"{before}{corner}─ {i:2} to {last:#x}{gap}")
        below = before + ("   " if is_last else "│  ")
        lines += _maple_lines(nodes, slot & ~maple.NODE_MASK, below, "└─ ", name)
    return lines


def _maple_data(node: maple.Node) -> dict[str, Any]:
    return {
        "node": node.address,
        "type": node.type,
        "depth": node.depth,
        "min": node.min,
        "max": node.max,
        "parent": node.parent,
        "parent_slot": node.parent_slot,
        "pivots": list(node.pivots),
        "slots": list(node.slots),
        "gaps": list(node.gaps),
        "meta_end": node.meta_end,
        "meta_gap": node.meta_gap,
    }
