# SPDX-License-Identifier: GPL-2.0-only
"""What a new task was asked for and what it got: parent and child compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...linux import relatives, uapi_flags
from ...linux.mm_usage import Space, mm_users, space
from ...linux.signals import SIGCHLD, signal_name
from ...linux.structs.sched import KernelCloneArgs, TaskStruct
from ...linux.task import Task
from ...linux.vmflags import VM_DONTCOPY, VM_WIPEONFORK
from ...sizes import counted, rough_size, size_text
from ...target import kernel
from ...target.cstruct import Ptr
from .events import NewTask, NewTaskInSameMemory, NewTaskWithCopy

# include/uapi/linux/sched.h
CLONE_VM, CLONE_VFORK, CLONE_PARENT = 0x100, 0x4000, 0x8000
CLONE_THREAD, CLONE_SETTLS = 0x1_0000, 0x8_0000
FORK_TOO = 0x120_0000  # CLONE_CHILD_CLEARTID, _SETTID: with them it is still a fork()
PARTS = {  # members of task_struct that point to what a task has or shares
    "mm": "memory",
    "files": "open files",
    "fs": "directories",
    "sighand": "signal handlers",
    "signal": "the process",
    "nsproxy": "namespaces",
    "io_context": "I/O context",
    "sysvsem.undo_list": "semaphore undo list",
    "cred": "credentials",
}


@dataclass
class Request:
    """A system call that asks for a new task."""

    call: str
    arguments: KernelCloneArgs
    copies: bool  # is the caller's memory to be copied?
    before: Space | None = None  # then that, while nobody can change its areas
    after: Space | None = None


def asked_for(arguments: KernelCloneArgs) -> tuple[str, ...]:
    """The request in words."""
    lines = [f"flags      {uapi_flags.clone_text(arguments.flags)}"]
    if arguments.exit_signal:
        lines[0] += f"; {signal_name(arguments.exit_signal)} to the parent at its end"
    if arguments.stack:
        # Both ends come with clone3() only; it has been made the upper one since
        bottom, top = arguments.stack - arguments.stack_size, arguments.stack
        where = f"{bottom:#x}-{top:#x}, {rough_size(top - bottom)}"
        lines.append("stack      " + (where if top > bottom else f"starts at {top:#x}"))
    if arguments.flags & CLONE_SETTLS:
        lines.append(f"tls        {arguments.tls:#x}, where its thread-local data is")
    return tuple(lines)


def where(maker: Task, asked: int) -> str:
    """Where the new task runs.

    :param maker: the task that made it
    :param asked: the flags it was made with
    """
    if asked & CLONE_THREAD:
        return "on its own stack"
    if not asked & CLONE_VM:
        return "in its copy of the memory"
    if asked & CLONE_PARENT:  # its parent is that of who made it
        return (
            f"in the memory of {relatives.process_name(maker.address)}, which made it"
        )
    return "in its parent's memory"


def new_task(parent: Task, new: Task, request: Request) -> NewTask:
    """Compare a new task with the current one, which made it. Raises memory.Fault."""
    arguments = request.arguments
    shared, own = _compare(parent.address, new.address)
    lines = list(asked_for(arguments))
    for title, parts in (("shared", shared), ("its own", own)):
        if parts:
            named = [PARTS[part] for part in parts]
            lines.append(f"{title:<10} {', '.join(named)}")
    real_parent = relatives.task_struct(new.address).real_parent
    made = NewTask(
        what=f"{request.call}(): {_kind_of_task(new, arguments)}",
        lines=tuple(lines),
        call=request.call,
        flags=arguments.flags,
        exit_signal=arguments.exit_signal,
        stack=arguments.stack,
        stack_size=arguments.stack_size,
        tls=arguments.tls,
        child=new.pid,
        child_process=new.tgid,
        parent=relatives.task_struct(real_parent).tgid,
        shared=shared,
        own=own,
    )
    if new.mm and new.mm == parent.mm:
        return _in_same_memory(made, mm_users(new.mm))
    if request.before is not None and request.after is not None and new.mm:
        return _with_copy(made, request.before, request.after, space(new.mm))
    return made


def _kind_of_task(new: Task, arguments: KernelCloneArgs) -> str:
    """Whether it is a process or a thread, and who waits for it."""
    what = f"a new process {new.pid}"
    if arguments.flags & CLONE_THREAD:
        what = f"a new thread {new.pid} of process {new.tgid}"
    elif not arguments.flags & ~FORK_TOO and arguments.exit_signal == SIGCHLD:
        what += ", as fork() makes it"
    if arguments.flags & CLONE_VFORK:
        what += "; the caller waits until it executes a program or ends"
    return what


def _in_same_memory(made: NewTask, users: int) -> NewTaskInSameMemory:
    line = f"memory     {counted(users, 'user')} now (mm_users)"
    known: dict[str, Any] = vars(made) | {"lines": (*made.lines, line)}
    return NewTaskInSameMemory(**known, mm_users=users)


def _compare(
    parent: Ptr[TaskStruct], new: Ptr[TaskStruct]
) -> tuple[list[str], list[str]]:
    """Which members of task_struct point to the same, and which do not.

    What neither of the two has is left out.
    """
    guest = kernel.memory()
    mine, its = TaskStruct(guest, parent), TaskStruct(guest, new)
    shared: list[str] = []
    own: list[str] = []
    for path in PARTS:
        name = path.replace(".", "_")
        pointer = getattr(its, name)
        if pointer:
            (shared if pointer == getattr(mine, name) else own).append(path)
    return shared, own


def _read_only(before: Space, after: Space) -> int:
    """Pages that could be written to before and no more after."""
    return sum(after.read_only.get(address, 0) for address in before.writable)


def _left(now: Space, copy: Space) -> int:
    """Mapped pages that fork() did not enter in the copy, though it has their area."""
    wiped = now.with_flag(VM_WIPEONFORK)
    return sum(
        max(0, pages - copy.mapped[start])
        for start, pages in now.mapped.items()
        if start in copy.mapped and start not in wiped
    )


def _with_copy(
    made: NewTask, before: Space, now: Space, copy: Space
) -> NewTaskWithCopy:
    """The event of a new task that has a copy of its maker's address space.

    :param before: the original before it was copied
    :param now: the original afterwards
    """
    lines = (*made.lines, *_copied(before, now, copy))
    known: dict[str, Any] = vars(made) | {"lines": lines}
    return NewTaskWithCopy(
        **known,
        areas=len(now.areas),
        areas_copied=len(copy.areas),
        left_out=[start for start in now.areas if start not in copy.areas],
        wiped=now.with_flag(VM_WIPEONFORK),
        pages=now.pages,
        pages_copied=copy.pages,
        pages_left=_left(now, copy),
        page_tables=now.tables,
        page_tables_copied=copy.tables,
        made_read_only=_read_only(before, now),
        mm_users=copy.users,
        mm_count=copy.count,
    )


def _copied(before: Space, now: Space, copy: Space) -> list[str]:
    """The copy of an address space in words."""
    lines = [
        f"memory     {len(copy.areas)} of {counted(len(now.areas), 'area')} copied"
    ]
    for starts, why in (
        (now.with_flag(VM_DONTCOPY), "left out (VM_DONTCOPY: MADV_DONTFORK)"),
        (now.with_flag(VM_WIPEONFORK), "empty in the child (MADV_WIPEONFORK)"),
    ):
        lines += [
            f"           {start:#x}... with {counted(now.mapped[start], 'page')} is {why}"
            for start in starts
        ]
    lines.append(
        f"pages      {copy.pages} of {counted(now.pages, 'mapped page')} entered in "
        f"its page tables of {size_text(copy.tables)} (parent: {size_text(now.tables)})"
    )
    left = _left(now, copy)
    if left:  # vma_needs_copy(): the area has no page of its own (anon_vma)
        lines.append(
            f"           {counted(left, 'page')} of files, shared memory or zeros: "
            "left for it to find when it wants them"
        )
    protected = _read_only(before, now)
    return lines + [
        f"copy on    {counted(protected, 'page')} that the parent could write to can "
        "only be read now,",
        "write      by both: who writes to one first gets a copy of it",
    ]
