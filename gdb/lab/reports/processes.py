# SPDX-License-Identifier: GPL-2.0-only
"""Tasks as rows of a table, and what there is to say of one that has ended."""

from __future__ import annotations

from typing import NamedTuple

from ..linux import process, task
from ..linux.structs.sched import TaskStruct
from ..result import Address, Number, Words
from ..target.cstruct import Ptr

MOST_NAMED = 8  # threads that are named in a sentence


class ProcessRow(NamedTuple):
    """A process or thread."""

    pid: Number
    tgid: Number
    ppid: Number
    uid: Number
    euid: Number
    state: Words
    cpu: Number
    threads: Number
    comm: Words
    task: Address


def process_row(one: process.Process) -> ProcessRow:
    """A task as a row."""
    return ProcessRow(
        pid=one.pid,
        tgid=one.tgid,
        ppid=one.ppid,
        uid=one.uid,
        euid=one.euid,
        state=one.state,
        cpu=one.cpu,
        threads=one.threads,
        comm=one.name,
        task=one.address,
    )


def goes_on(address: Ptr[TaskStruct]) -> str:
    """Which threads of a task's process live, behind that the task has ended.

    "" if none does. Parameter: struct task_struct *. Raises Broken, Fault.
    """
    others = (one for one in task.living_threads(address) if one != address)
    living = [task.task(one) for one in others]
    if not living:
        return ""
    more = len(living) - MOST_NAMED
    names = [f"{one.pid} ({one.comm})" for one in living[:MOST_NAMED]]
    if more > 0:
        names.append(f"{more} more")
    said = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"; its process goes on with thread{'s' * (len(living) > 1)} {said}"


def why_none(address: Ptr[TaskStruct]) -> str:
    """Why a task has no registers of user mode, as the end of a sentence."""
    if task.has_exited(address):
        return f"has ended: it has no registers any more{goes_on(address)}."
    return "is a kernel thread: it has no registers of user mode."
