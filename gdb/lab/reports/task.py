# SPDX-License-Identifier: GPL-2.0-only
"""A task_struct by theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..explain import facts
from ..explain.task_members import THEMES
from ..linux import task
from ..linux.structs.sched import TaskStruct
from ..result import Report, Table, Words
from ..target.cstruct import Ptr
from .processes import goes_on


class FactRow(NamedTuple):
    """A member: its path, its value, that in words, its C type, what it is for."""

    member: Words
    value: Words
    says: Words
    type: Words
    meaning: Words


@dataclass
class TaskReport(Report, schema="task"):
    """A task: which one, and a table for each theme."""

    task: str
    themes: list[Table[FactRow]]


def describe(address: Ptr[TaskStruct]) -> TaskReport:
    """Read and explain the members of a task."""
    read = task.task(address)
    heading = f"{read.comm}, pid {read.pid}: struct task_struct at {address:#x}"
    if task.has_exited(address):
        heading += f"; it has ended{goes_on(address)}"
    themes = []
    for theme, catalogue in THEMES.items():
        table = Table(FactRow, theme)
        for fact in facts.facts("struct task_struct", address, catalogue):
            row = FactRow(
                member=fact.path,
                value=fact.value,
                says=fact.decoded,
                type=fact.type,
                meaning=fact.meaning,
            )
            table.rows.append(row)
        themes.append(table)
    return TaskReport(heading, themes)
