# SPDX-License-Identifier: GPL-2.0-only
"""lab tree: the family tree of the processes."""

from __future__ import annotations

from ..linux import process, process as family
from ..result import Drawing, Result
from .base import LabCommand, task_of
from .processes import COLUMNS, process_row


class Tree(LabCommand):
    """The family tree of the processes: lab tree [PID] [--json]

    Who made whom, as the kernel's lists of children and siblings have it, from
    swapper/0 or the process PID down. Behind the name is the pid, then the state
    unless it sleeps, and the number of threads if there are more than one.

    Example:
        (gdb) lab tree 1
    """

    name = "tree"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        tree = family.family_of(task_of(pid)) if pid else family.whole_family()
        broken = [
            f"the children of {one.head.comm}, pid {one.head.pid}: {one.broken}"
            for one in tree
            if one.broken
        ]
        data = [_data(one) for one in tree]
        return Result([Drawing("", _lines(tree), data, "; ".join(broken))])


def _lines(tree: list[family.Family]) -> list[str]:
    """The tree as a picture, one process a line."""
    lines = []
    fronts = {id(tree[0]): ("", "")}  # what stands before a line, and below it
    for one in tree:
        front, below = fronts[id(one)]
        lines.append(front + _label(one.head))
        for child in one.children:
            last = child is one.children[-1]
            fronts[id(child)] = (
                below + ("└─ " if last else "├─ "),
                below + ("   " if last else "│  "),
            )
    return lines


def _label(one: process.Process) -> str:
    label = f"{one.name} {one.pid}"
    if one.state not in "SI":
        label += f" {one.state}"
    return label + (f" ({one.threads} threads)" if one.threads > 1 else "")


def _data(one: family.Family) -> dict[str, object]:
    """What the picture shows of a process, and what it leaves out."""
    return {
        "depth": one.depth,
        **dict(zip((column.name for column in COLUMNS), process_row(one.head))),
        "broken": one.broken,
    }
