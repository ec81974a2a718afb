# SPDX-License-Identifier: GPL-2.0-only
"""The end of a task in words: why it ends, who is told, who takes its children."""

from __future__ import annotations

from ...linux import relatives, signals
from ...linux.errno import to_int
from ...linux.signals import SIGCHLD
from ...linux.structs.sched import TaskStruct
from ...linux.task import Task
from ...linux.taskflags import exit_text
from ...sizes import counted
from ...target import kernel
from ...target.cstruct import Ptr
from .events import Ends

AUTOREAP = 0xFF  # bool of do_notify_parent(): nobody will wait
WAIT_CALLS = ("wait4", "waitid")
# Who makes the kernel forget a task, if not one of WAIT_CALLS or relatives.EXEC
ITSELF, LAST_THREAD = "itself", "its last thread"
KERNEL_WAIT, PARENT_ENDED = "kernel_wait", "parent ended"


def end_of(
    current: Task, code: int, others: int, users: int, children: list[int]
) -> Ends:
    """What a task's end means for it and for its process.

    :param code: what do_exit() was called with, a wait status
    :param others: how many other threads of its process have not begun to end
    :param users: mm_users
    :param children: their pids
    """
    call, regs = relatives.system_call(current.address)
    shared = relatives.signal_struct(current.address)
    given = to_int(regs.di)
    by_call = call in ("exit", "exit_group") and code == (given & 0xFF) << 8
    executes = shared.group_exec_task or shared.group_exit_task
    whole = bool(
        shared.flags & (relatives.SIGNAL_GROUP_EXIT | relatives.SIGNAL_GROUP_COREDUMP)
    )
    zapped = bool(executes) and not whole and not by_call
    if by_call:
        why = f"{call}({given})"
    elif zapped:
        why = "another thread executes a program"
    elif whole and not code & 0x7F:
        why = "another thread called exit_group()"
    else:
        why = signals.signal_name(code & 0x7F)
    return Ends(
        what=f"{why}: {_meaning(current, code, others, whole, zapped)}",
        mm_users=users,
        children=children,
        call=call if by_call else "",
        code=code,
        status_text=exit_text(code),
        process=current.tgid,
        leader=current.pid == current.tgid,
        others=others,
    )


def _meaning(current: Task, code: int, others: int, whole: bool, zapped: bool) -> str:
    is_leader = current.pid == current.tgid
    name = "the first thread" if is_leader else f"thread {current.pid}"
    if not others:
        if is_leader:
            return f"process {current.tgid} ends, {exit_text(code)}"
        return f"{name} ends, the last one of process {current.tgid}"
    if zapped:
        return f"{name} ends; only that one goes on"
    sentence = f"{name} ends; {counted(others, 'other thread')} "
    if whole:
        return sentence + ("has" if others == 1 else "have") + " still to end"
    sentence += "goes on" if others == 1 else "go on"
    return sentence + (", and it stays a zombie meanwhile" if is_leader else "")


def reported_signal(ended: Ptr[TaskStruct], signal: int) -> int:
    """The signal a parent gets: SIGCHLD if one of the two has executed a program.

    See do_notify_parent() in kernel/signal.c.

    :param signal: exit_signal, which it gets otherwise
    """
    guest = kernel.memory()
    read = TaskStruct(guest, ended)
    parent = TaskStruct(guest, read.parent)
    return signal if read.parent_exec_id == parent.self_exec_id else SIGCHLD


def ignores_sigchld(parent: Ptr[TaskStruct]) -> bool:
    """Does a parent ignore SIGCHLD, so that it is not even sent?"""
    ignored, _ = signals.collect_sigign_sigcatch(relatives.task_struct(parent).sighand)
    return bool(ignored >> SIGCHLD - 1 & 1)


def tracer_text(ended: Ptr[TaskStruct], signal: int) -> str:
    """What exit_notify() does for a traced task when its process has others yet.

    Until all other threads are gone the leader cannot be waited for, see
    delay_group_leader().
    """
    found = relatives.task_struct(ended)
    name, then = f"thread {found.pid}", "which is to wait for it"
    if found.pid == found.tgid:
        name, then = "the first thread", "which cannot wait for it before the others"
    return (
        f"{name} is a zombie now; {signals.signal_name(signal)} for its tracer "
        f"{relatives.process_name(found.parent)}, {then}"
    )


def report_text(ended: Ptr[TaskStruct], signal: int, leaves: bool, why: str) -> str:
    """What do_notify_parent() did, as a sentence.

    :param leaves: does the task leave no zombie?
    :param why: how the sentence begins if another task reports the end
    """
    found = relatives.task_struct(ended)
    sentence = f"{why}process {found.tgid}"
    sentence += " leaves no zombie" if leaves else " is a zombie now"
    sentence += f", {exit_text(relatives.status_of(ended))}"
    role = "parent" if found.parent == found.real_parent else "tracer"
    whom = f"its {role} {relatives.process_name(found.parent)}"
    if leaves:
        ignores = ignores_sigchld(found.parent)
        return (
            f"{sentence}: {whom} {'ignores SIGCHLD' if ignores else 'has SA_NOCLDWAIT'}"
        )
    return f"{sentence}; {signals.signal_name(signal) if signal else 'no signal'} for {whom}"


def release_of(current: Ptr[TaskStruct], released: Ptr[TaskStruct]) -> str:
    """Why the current task calls release_task() for another, or for itself."""
    if released == current:
        return ITSELF
    if relatives.is_exiting(current):
        return PARENT_ENDED
    if relatives.is_kernel_thread(current):
        return KERNEL_WAIT
    call, _ = relatives.system_call(current)
    return call if call in (*WAIT_CALLS, *relatives.EXEC) else PARENT_ENDED


def release_text(name: str, is_process: bool, how: str) -> str:
    """The same in words; the name of the task that is released: process 41."""
    if how == ITSELF:
        whom = "it" if is_process else "a thread"
        return f"{name} is released by itself: nobody waits for {whom}"
    if how == LAST_THREAD:
        return f"{name} is released next, with its last thread: nobody waits for it"
    if how in relatives.EXEC:
        return f"{how}(): takes the place and number of the first thread"
    if how == PARENT_ENDED:
        return f"releases {name}, which no parent waits for"
    waited = ", for which the kernel waited" * (how == KERNEL_WAIT)
    return f"releases {name}{waited} in {how}(): its number is free again"


def heir_text(parent: Ptr[TaskStruct]) -> str:
    """Who adopts an orphan: struct task_struct *. See find_new_reaper()."""
    if relatives.is_init(parent):
        return f"{relatives.process_name(parent)}, as no ancestor asked for orphans"
    return f"{relatives.process_name(parent)}, a subreaper (PR_SET_CHILD_SUBREAPER)"
