# SPDX-License-Identifier: GPL-2.0-only
"""The family tree of the processes: task_struct.children and .sibling."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import task
from .memory import Broken, Fault
from .process import Process, for_each_child, reader


@dataclass
class Family:
    """A process and, in the kernel's order, its children."""

    head: Process
    depth: int
    children: list[Family] = field(default_factory=list)
    broken: str = ""  # why not all children are known


def family_of(address: int) -> list[Family]:
    """A process and its descendants, each before its children.

    Parameter: struct task_struct *. A list that is broken is followed as far as
    it goes and told of at its process. Raises memory.Fault.
    """
    read = reader()
    tree = [Family(read(address), 0)]
    seen = {address}
    waiting = [tree[0]]
    while waiting:
        parent = waiting.pop()
        try:
            for child in for_each_child(parent.head.address):
                if child in seen:
                    raise Broken(f"the task at {child:#x} is in the tree already")
                seen.add(child)
                parent.children.append(Family(read(child), parent.depth + 1))
        except (Broken, Fault) as trouble:
            parent.broken = str(trouble)
        waiting.extend(reversed(parent.children))
        if parent is not tree[0]:
            tree.append(parent)
    return tree


def whole_family() -> list[Family]:
    """All processes, from swapper/0 on, which has no parent but itself."""
    return family_of(task.init_task())
