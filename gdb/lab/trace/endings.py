# SPDX-License-Identifier: GPL-2.0-only
"""The end of a task in words: why it ends, who is told, who takes its children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .. import kernel, layout, signals
from ..task import Task
from ..taskflags import exit_text
from . import kin
from .words import counted

AUTOREAP = 0xFF  # bool of do_notify_parent(): nobody will wait
EXEC_IDS = layout.Form("struct task_struct", "parent_exec_id", "self_exec_id", "parent")
SIGCHLD = 17


@dataclass(frozen=True)
class End:
    """Why a task is in do_exit()."""

    what: str
    data: dict[str, Any]


def end_of(current: Task, code: int, others: int) -> End:
    """What a task's end means for it and for its process.

    Parameters: the task, what do_exit() was called with: a wait status, and how many
    other threads of its process have not begun to end.
    """
    call, regs = kin.system_call(current.address)
    shared = kin.signal_struct(current.address)
    given = regs.di & 0xFF
    by_call = call in ("exit", "exit_group") and code == given << 8
    executes = getattr(shared, "group_exec_task", 0) or getattr(
        shared, "group_exit_task", 0
    )
    whole = bool(shared.flags & kin.SIGNAL_GROUP_EXIT)
    if by_call:
        why = f"{call}({given})"
    elif executes and not whole:
        why = "another thread executes a program"
    elif whole and not code & 0x7F:
        why = "another thread called exit_group()"
    else:
        why = signals.signal_name(code & 0x7F)
    return End(
        f"{why}: {_meaning(current, code, others, whole)}",
        {
            "call": call if by_call else "",
            "code": code,
            "status_text": exit_text(code),
            "process": current.tgid,
            "leader": current.pid == current.tgid,
            "others": others,
        },
    )


def _meaning(current: Task, code: int, others: int, whole: bool) -> str:
    is_leader = current.pid == current.tgid
    name = "the first thread" if is_leader else f"thread {current.pid}"
    if not others:
        if is_leader:
            return f"process {current.tgid} ends, {exit_text(code)}"
        return f"{name} ends, the last one of process {current.tgid}"
    said = f"{name} ends; {counted(others, 'other thread')} "
    if whole:
        return said + ("has" if others == 1 else "have") + " still to end"
    said += "goes on" if others == 1 else "go on"
    return said + (", and it stays a zombie meanwhile" if is_leader else "")


def reported_signal(ended: int, signal: int) -> int:
    """The signal a parent gets: SIGCHLD if one of the two has executed a program.

    See do_notify_parent() in kernel/signal.c. Parameter: struct task_struct *.
    """
    guest = kernel.memory()
    read = EXEC_IDS(guest, ended)
    parent = EXEC_IDS(guest, read.parent)
    return signal if read.parent_exec_id == parent.self_exec_id else SIGCHLD


def report_text(current: Task, ended: int, signal: int, leaves: bool) -> str:
    """What do_notify_parent() did: struct task_struct * of who has ended."""
    found = kin.task_struct(ended)
    parent, status = kin.process_name(found.parent), exit_text(kin.status_of(ended))
    said = f"process {found.tgid}"
    if found.tgid == current.tgid and current.address != ended:
        said = f"its last other thread is gone: process {found.tgid}"
    elif found.tgid != current.tgid:
        said = f"the orphan is told of again: process {found.tgid}"
    if leaves:
        handlers = kin.task_struct(found.parent).sighand
        ignored, _ = signals.collect_sigign_sigcatch(handlers)
        why = "ignores SIGCHLD" if ignored >> SIGCHLD - 1 & 1 else "has SA_NOCLDWAIT"
        return f"{said} leaves no zombie, {status}: its parent {parent} {why}"
    said += f" is a zombie now, {status}"
    if not signal:
        return f"{said}; no signal for its parent {parent}"
    return f"{said}; {signals.signal_name(signal)} for its parent {parent}"


def heir_text(parent: int) -> str:
    """Who adopts an orphan: struct task_struct *. See find_new_reaper()."""
    if kin.is_init(parent):
        return f"{kin.process_name(parent)}, as no ancestor asked for orphans"
    return f"{kin.process_name(parent)}, a subreaper (PR_SET_CHILD_SUBREAPER)"
