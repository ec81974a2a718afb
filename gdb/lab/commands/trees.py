# SPDX-License-Identifier: GPL-2.0-only
"""lab list, lab rb, lab maple: the structures that hold the areas, drawn."""

from __future__ import annotations

from typing import Callable

from .. import area, maple, maple_check, mm as mm_, rbtree, task, vma
from ..memory import Broken, Fault
from ..result import Drawing, Result, Table, columns
from ..sizes import rough_size
from .base import LabCommand, mm_of

RULES = columns(rule="text", holds="check")
NO_LIST = (
    "This kernel chains its areas no more: the list (vm_next, vm_prev) ended with "
    "Linux 6.1 (763ecb035029), when the maple tree mm->mm_mt came, whose leaves stand "
    "in order and can be read without a lock: see `lab maple`."
)
NO_TREE = (
    "This kernel has no red-black tree of areas: the maple tree mm->mm_mt replaced it "
    "in Linux 6.1 (d4af56c5c7c6 put the areas into it, 524e00b36e8c took mm_rb away): "
    "see `lab maple`."
)
NO_MAPLE = (
    "This kernel has no maple tree: it came with Linux 6.1 (54a611b60590; areas are in "
    "it since d4af56c5c7c6) and replaced the list and the red-black tree that this "
    "kernel has: see `lab list` and `lab rb`."
)


def _namer(mm: int) -> Callable[[int], str]:
    """A function from a struct vm_area_struct * to what is worth a word of it."""
    describe = area.describer(mm, task.onlooker_root())

    def name(address: int) -> str:
        try:
            one = describe(address)
        except Fault as fault:
            return f"? {fault}"
        return f"{one.start:#x}-{one.end:#x} {one.perms} {one.name or one.backing}"

    return name


def _rules(found: list[tuple[str, str]]) -> Table:
    return Table("", RULES, [(rule, broken or True) for rule, broken in found])


class List(LabCommand):
    """The list of areas, drawn: lab list [PID] [--json]

    From mm->mmap along vm_next, one line an area. A double arrow stands where
    vm_prev leads back to the area above, and what it holds where it does not.
    Linux 6.1 and later have no such list; the command says what they have.

    Example:
        (gdb) lab list 1
    """

    name = "list"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        if not vma.is_listed():
            return Result([NO_LIST])
        drawing = Drawing("", [f"mm_struct {mm:#x} mmap"], [])
        name = _namer(mm)
        before = 0
        wrong = ""
        try:
            for address, one in vma.for_each_listed(mm):
                arrow = "⇅" if one.vm_prev == before else "↓"
                if not before:
                    arrow = "↓"
                line = f"  {arrow} {address:#x}  {name(address)}"
                if one.vm_prev != before:
                    line += f"   vm_prev is {one.vm_prev:#x}"
                    wrong = wrong or f"{address:#x} has vm_prev {one.vm_prev:#x}"
                drawing.lines.append(line)
                drawing.data.append(
                    {
                        "vma": address,
                        "start": one.vm_start,
                        "end": one.vm_end,
                        "next": one.vm_next,
                        "prev": one.vm_prev,
                    }
                )
                before = address
            drawing.lines.append("  ↓ NULL")
        except Broken as broken:
            drawing.broken = str(broken)
        count, said = mm_.mm_struct(mm).map_count, len(drawing.data)
        different = f"map_count is {count}, the list has {said}"
        rules = [
            ("vm_prev mirrors vm_next", wrong),
            ("map_count is the number of areas", "" if count == said else different),
        ]
        return Result([drawing, _rules(rules)])


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
        name = _namer(mm)
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
        return Result([drawing, said, _rules(rbtree.check(nodes))])


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


class Maple(LabCommand):
    """The maple tree of areas, drawn: lab maple [PID] [--json]

    Each node with its type, the range of addresses below it, its slots in use, and
    its metadata. A slot is shown by its last address, the pivot; of an arange_64
    node with the widest gap below it, and under it the node it leads to; of a leaf
    with its area or the gap it stands for. Then the rules of such a tree, checked.
    Kernels before Linux 6.1 have no maple tree; the command says what they have.

    Example:
        (gdb) lab maple 1
    """

    name = "maple"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        if vma.is_listed():
            return Result([NO_MAPLE])
        tree = vma.tree_of(mm)
        head = maple.maple_tree(tree)
        drawing = Drawing("", [_maple_head(tree, head)], {"tree": tree, "nodes": []})
        nodes: dict[int, maple.Node] = {}
        try:
            for node in maple.for_each_node(tree):
                nodes[node.address] = node
        except Broken as broken:
            drawing.broken = str(broken)
        drawing.data |= head._asdict()
        drawing.data["nodes"] = [_maple_data(node) for node in nodes.values()]
        name = _namer(mm)
        if maple.xa_is_node(head.root):
            first = head.root & ~maple.NODE_MASK
            drawing.lines += _maple_lines(nodes, first, "", "└─ ", name)
        elif head.root:
            drawing.lines.append(f"└─ one area: {name(head.root)}")
        if drawing.broken:
            return Result([drawing])
        return Result([drawing, _rules(maple_check.check(tree))])


def _maple_head(tree: int, head: maple.Tree) -> str:
    flags = " ".join(head.flag_names)
    return (
        f"maple_tree {tree:#x}: ma_root {head.root:#x}, height {head.height}, {flags}"
    )


def _maple_lines(
    nodes: dict[int, maple.Node],
    address: int,
    before: str,
    branch: str,
    name: Callable[[int], str],
) -> list[str]:
    """A node and what is below it; before is what stands left of all its lines."""
    node = nodes.pop(address, None)  # once only, so that a cycle ends
    if node is None:
        return [f"{before}{branch}{address:#x} was not read, or is drawn already"]
    said = f"{node.type} {address:#x}, {len(node.slots)} of {node.room} slots"
    said += f", {node.min:#x}-{node.max:#x}"
    if node.meta_end is not None:
        said += f", meta end {node.meta_end}"
    if node.gaps:
        has_gap = node.meta_gap != maple_check.META_MAX
        said += f", widest gap in {node.meta_gap}" if has_gap else ", no gap"
    lines = [f"{before}{branch}{said}"]
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


def _maple_data(node: maple.Node) -> dict[str, object]:
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
