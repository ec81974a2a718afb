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
    """Who made whom: a ProcessRow each, how deep it is, why its children are unknown."""

    family: Drawing[list[dict[str, Any]]]


def describe(address: Ptr[TaskStruct]) -> TreeReport:
    """Walk the children of a struct task_struct *, 0 for those of all."""
    tree = process.family_of(address) if address else process.whole_family()
    broken = [
        f"the children of {one.head.comm}, pid {one.head.pid}: {one.broken}"
        for one in tree
        if one.broken
    ]
    data = [_data(one) for one in tree]
    return TreeReport(Drawing("", _lines(tree), data, "; ".join(broken)))


def _lines(tree: list[process.Family]) -> list[str]:
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


def _data(one: process.Family) -> dict[str, Any]:
    """What the picture shows of a process, and what it leaves out."""
    return {
        "depth": one.depth,
        **process_row(one.head)._asdict(),
        "broken": one.broken,
    }
