# SPDX-License-Identifier: GPL-2.0-only
"""lab ps, lab threads and lab tree: which processes there are."""

from __future__ import annotations

from typing import Iterator

from .. import family, process, registers
from ..memory import Broken, Fault
from ..result import Drawing, Result, Table, columns
from .base import LabCommand, task_of

COLUMNS = columns(
    pid="number",
    tgid="number",
    ppid="number",
    uid="number",
    euid="number",
    state="text",
    cpu="number",
    threads="number",
    comm="text",
    task="address",
)


STACKS = columns(stack="address", stack_end="address")


class Ps(LabCommand):
    """All processes, as ps shows them: lab ps [--json]

    One row a process, swapper/0 left out. Kernel threads are in brackets.
    state is the letter of /proc/PID/stat: R runs or could run, S sleeps, D sleeps
    uninterruptibly, T stopped, t traced, I idle kernel thread, Z zombie, X dead.

    Example:
        (gdb) lab ps
    """

    name = "ps"

    def run(self, arguments: list[str]) -> Result:
        self.take(arguments)
        return Result([_table(process.processes())])


class Threads(LabCommand):
    """All threads of all processes: lab threads [--json]

    One row a thread, those of a process one after the other: pid is the thread's
    id, tgid its process's, threads the number of threads of that process. Before
    them the idle tasks, swapper/N of each CPU, which are on no list. The columns are
    those of `lab ps`, and where the kernel stack starts and ends; a task that has
    ended gives it back.

    Example:
        (gdb) lab threads
    """

    name = "threads"

    def run(self, arguments: list[str]) -> Result:
        self.take(arguments)
        table = Table("", COLUMNS + STACKS)
        try:
            for one in process.threads():
                table.rows.append((*process_row(one), *_stack(one.address)))
        except (Broken, Fault) as problem:
            table.broken = str(problem)
        return Result([table])


def _stack(address: int) -> tuple[int | None, int | None]:
    """Where a task's kernel stack starts and ends. Raises memory.Fault."""
    start = registers.task_stack_page(address)
    return (start, start + registers.thread_size()) if start else (None, None)


def _table(found: Iterator[process.Process]) -> Table:
    table = Table("", COLUMNS)
    try:
        for one in found:
            table.rows.append(process_row(one))
    except Broken as broken:
        table.broken = str(broken)
    return table


def process_row(one: process.Process) -> tuple:
    """A task as a row of COLUMNS."""
    return (
        one.pid,
        one.tgid,
        one.ppid,
        one.uid,
        one.euid,
        one.state,
        one.cpu,
        one.threads,
        one.name,
        one.address,
    )


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
