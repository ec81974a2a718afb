# SPDX-License-Identifier: GPL-2.0-only
"""Tasks as rows of a table, and sentences on one that has ended."""

from __future__ import annotations

from typing import NamedTuple

from ..linux import task
from ..linux.process import Process
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


def process_row(process: Process) -> ProcessRow:
    """The row of a task."""
    return ProcessRow(
        pid=process.pid,
        tgid=process.tgid,
        ppid=process.ppid,
        uid=process.uid,
        euid=process.euid,
        state=process.state,
        cpu=process.cpu,
        threads=process.threads,
        comm=process.name,
        task=process.address,
    )


def goes_on(address: Ptr[TaskStruct]) -> str:
    """The living threads of an ended task's process, as the end of a sentence.

    :returns: "" if there are none
    :raises Broken: the list of threads is damaged
    """
    others = (thread for thread in task.living_threads(address) if thread != address)
    living = [task.task(thread) for thread in others]
    if not living:
        return ""
    more = len(living) - MOST_NAMED
    names = [f"{thread.pid} ({thread.comm})" for thread in living[:MOST_NAMED]]
    if more > 0:
        names.append(f"{more} more")
    named = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"; its process goes on with thread{'s' * (len(living) > 1)} {named}"


def why_none(address: Ptr[TaskStruct]) -> str:
    """Why a task has no user-mode registers, as the end of a sentence."""
    if task.has_exited(address):
        return f"has ended: it has no registers any more{goes_on(address)}."
    return "is a kernel thread: it has no registers of user mode."
