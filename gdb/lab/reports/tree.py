# SPDX-License-Identifier: GPL-2.0-only
"""The family tree of the processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..linux import process
from ..linux.structs.sched import TaskStruct
from ..result import Drawing, Report
from ..target.cstruct import Ptr
from .processes import process_row


@dataclass
class TreeReport(Report, schema="tree"):
    """Parents and children: each a ProcessRow, its depth, why its children are unknown."""

    family: Drawing[list[dict[str, Any]]]


def describe(address: Ptr[TaskStruct]) -> TreeReport:
    """Walk the descendants of a task; NULL for those of swapper/0."""
    tree = process.family_of(address) if address else process.whole_family()
    broken = [
        f"the children of {family.head.comm}, pid {family.head.pid}: {family.broken}"
        for family in tree
        if family.broken
    ]
    data = list(map(_data, tree))
    return TreeReport(Drawing("", _lines(tree), data, "; ".join(broken)))


def _lines(tree: list[process.Family]) -> list[str]:
    """The tree as a picture, a line for each process."""
    lines = []
    fronts = {id(tree[0]): ("", "")}  # left of a line, and of those below it
    for family in tree:
        front, below = fronts[id(family)]
        lines.append(front + _label(family.head))
        for child in family.children:
            last = child is family.children[-1]
            fronts[id(child)] = (
                below + ("└─ " if last else "├─ "),
                below + ("   " if last else "│  "),
            )
    return lines


def _label(found: process.Process) -> str:
    label = f"{found.name} {found.pid}"
    if found.state not in "SI":
        label += f" {found.state}"
    return label + (f" ({found.threads} threads)" if found.threads > 1 else "")


def _data(family: process.Family) -> dict[str, Any]:
    """What the picture shows of a process, and what it omits."""
    return {
        "depth": family.depth,
        **process_row(family.head)._asdict(),
        "broken": family.broken,
    }
