# SPDX-License-Identifier: GPL-2.0-only
"""The events of lab trace fork."""

from __future__ import annotations

from dataclasses import dataclass

from ...result import Address, Number, Size, Words
from ..event import Event


@dataclass(frozen=True, kw_only=True)
class ForkEvent(Event):
    """A step in the making of a task."""


@dataclass(frozen=True, kw_only=True)
class NewTask(ForkEvent, timeline="fork", step="new"):
    """A new task that has not run yet; of a kernel thread's child that is all."""

    call: Words
    flags: Number  # CLONE_...: include/uapi/linux/sched.h
    exit_signal: Number
    stack: Address  # the upper end, where the new task starts; 0 for that of its parent
    stack_size: Size
    tls: Address
    child: Number  # pid
    child_process: Number  # tgid
    parent: Number  # tgid of its real_parent
    shared: list[Words]  # members of task_struct that point to the same in both
    own: list[Words]  # members of task_struct that do not


@dataclass(frozen=True, kw_only=True)
class NewTaskInSameMemory(NewTask, timeline="fork"):
    """A new task in the memory of the one that made it."""

    mm_users: Number


@dataclass(frozen=True, kw_only=True)
class NewTaskWithCopy(NewTask, timeline="fork"):
    """A new task that got a copy of the memory: counts of the original and of the copy."""

    areas: Number
    areas_copied: Number
    left_out: list[Address]  # where areas start that the copy has not
    wiped: list[Address]  # where areas start that are empty in the copy
    pages: Number
    pages_copied: Number
    pages_left: Number  # not entered though their area was copied
    page_tables: Size
    page_tables_copied: Size
    made_read_only: Number  # pages
    mm_users: Number  # of the copy
    mm_count: Number


@dataclass(frozen=True, kw_only=True)
class FirstRun(ForkEvent, timeline="fork", step="first run"):
    """A new task is on a CPU for the first time."""

    call: Words


@dataclass(frozen=True, kw_only=True)
class Returns(ForkEvent, timeline="fork", step="returns"):
    """The system call returns in the task that made it."""

    waited: bool  # for the child, as vfork() does
    call: Words
    result: Number


@dataclass(frozen=True, kw_only=True)
class Fails(ForkEvent, timeline="fork", step="fails"):
    """No task was made."""

    flags: Number
    call: Words
    result: Number


@dataclass(frozen=True, kw_only=True)
class ArgumentsRefused(ForkEvent, timeline="fork", step="fails"):
    """clone3() could not use its arguments."""

    call: Words
    result: Number


@dataclass(frozen=True, kw_only=True)
class VforkDone(ForkEvent, timeline="fork", step="vfork done"):
    """A child lets the parent go on that waits for it in vfork()."""

    parent: Number
