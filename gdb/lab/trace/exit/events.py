# SPDX-License-Identifier: GPL-2.0-only
"""The events of lab trace exit."""

from __future__ import annotations

from dataclasses import dataclass

from ...result import Address, Number, Size, Words
from ..event import Event


@dataclass(frozen=True, kw_only=True)
class ExitEvent(Event):
    """A step on the way of a task to its end."""


@dataclass(frozen=True, kw_only=True)
class Kills(ExitEvent, timeline="exit", step="kills"):
    """A thread ends the others of its process, or replaces them by a new program."""

    process: Number
    threads: list[int]  # tids of those that are killed


@dataclass(frozen=True, kw_only=True)
class FatalSignal(ExitEvent, timeline="exit", step="kills"):
    """A signal is sent that ends a process."""

    context: Words  # in which it is sent: process, softirq, hardirq, ...
    process: Number
    threads: list[int]


@dataclass(frozen=True, kw_only=True)
class DumpingSignal(ExitEvent, timeline="exit", step="kills"):
    """A thread has got a signal that dumps core."""

    dumps: bool  # False if the kernel does not even begin to
    process: Number
    threads: list[int]


@dataclass(frozen=True, kw_only=True)
class Ends(ExitEvent, timeline="exit", step="ends"):
    """A task is in do_exit()."""

    mm_users: Number
    children: list[int]  # pids of the children of its process
    call: Words  # exit or exit_group, "" if something else ends it
    code: Number  # as do_exit() gets it
    status_text: Words
    process: Number
    leader: bool
    others: Number  # threads of its process that have not begun to end


@dataclass(frozen=True, kw_only=True)
class MemoryFreed(ExitEvent, timeline="exit", step="memory"):
    """An address space that nobody uses any more is taken apart."""

    process: Number
    executes: bool  # it is the old one of an execve()
    mm: Address
    areas: Number
    pages: Number
    page_tables: Size


@dataclass(frozen=True, kw_only=True)
class Adopted(ExitEvent, timeline="exit", step="adopted"):
    """A child gets another parent."""

    child: Number
    parent: Number  # tgid
    thread: Number  # pid of the thread that is its parent
    by_init: bool


@dataclass(frozen=True, kw_only=True)
class TracerTold(ExitEvent, timeline="exit", step="tracer told"):
    """The tracer of a thread is told of its end."""

    task: Number
    process: Number
    signal: Number
    tracer: Number


@dataclass(frozen=True, kw_only=True)
class Reported(ExitEvent, timeline="exit", step="reported"):
    """The parent of a process is told of its end."""

    process: Number
    status: Number
    status_text: Words
    signal: Number  # 0 if none is sent
    parent: Number
    zombie: bool


@dataclass(frozen=True, kw_only=True)
class Waits(ExitEvent, timeline="exit", step="waits"):
    """A parent waits for children."""

    call: Words


@dataclass(frozen=True, kw_only=True)
class Waited(ExitEvent, timeline="exit", step="waited"):
    """wait4() or waitid() returns: it failed, or did not say whose end it reports."""

    call: Words
    result: Number


@dataclass(frozen=True, kw_only=True)
class WaitedFor(Waited, timeline="exit"):
    """wait4() returns the number of a child, and nobody asked for its status."""

    child: Number


@dataclass(frozen=True, kw_only=True)
class Wait4Returned(WaitedFor, timeline="exit"):
    """wait4() returns the number of a child and its status."""

    status: Number
    status_text: Words


@dataclass(frozen=True, kw_only=True)
class WaitidReturned(WaitedFor, timeline="exit"):
    """waitid() fills in a siginfo_t."""

    si_code: Number
    si_status: Number
    status_text: Words


@dataclass(frozen=True, kw_only=True)
class Released(ExitEvent, timeline="exit", step="released"):
    """The kernel forgets a task."""

    task: Number
    process: Number
    status: Number
    by: Number  # pid of the task in release_task()
    how: Words  # a system call, or why it is released without one
