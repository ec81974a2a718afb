# SPDX-License-Identifier: GPL-2.0-only
"""lab trace: let a program run and show what happens, event by event."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import Callable, Iterator

import gdb

from ..linux import process, relatives, task
from ..linux.structs.sched import TaskStruct
from ..replay.monitor import going_back
from ..reports import trace as report
from ..sizes import counted
from ..target import fits, kernel, terminal
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.unforeseen import Command
from ..trace import syscall
from ..trace.ctrlc import told_of_ctrl_c
from ..trace.engine import Timeline, Tracer
from ..trace.event import Entry
from ..trace.exec.timeline import ExecTimeline
from ..trace.exit.timeline import Exit
from ..trace.fault.timeline import Faults
from ..trace.follow import LAB_PROGRAM, Follow
from ..trace.fork.timeline import Fork
from ..trace.irq.timeline import Irqs
from ..trace.mmap.timeline import Mmap
from ..trace.module.timeline import Modules
from ..trace.pages.timeline import Pages
from ..trace.slab.timeline import Slab
from ..view import text, timeline as view
from ..view.json import report_json
from .arguments import number, take_json, task_of
from .base import show_frame
from .seginfo import check, reporter

TIMELINES: dict[str, type[Timeline]] = {
    timeline.name: timeline
    for timeline in (
        *(ExecTimeline, Mmap, Faults, Fork, Exit),
        *(Pages, Modules, Irqs),
    )
}
SYSCALL, SLAB = syscall.Syscalls.name, Slab.name
LIMIT = 1000  # events
ALL = "all"
NO_NAMES = "lab trace syscall takes names, such as openat,write, or all."
NO_CACHES = "lab trace slab takes names of caches, such as dentry,kmalloc-64, or all."
BACK = "lab trace tells what happens forward: type set exec-direction forward."


class Trace(Command):
    """Follow a program through time: lab trace WHAT [PROGRAM or PID] [--limit N] [--json]

    WHAT is one of
        {what}
        slab [CACHE,...]   kmalloc(), kmem_cache_alloc(), kfree(): asked, given, wasted, what
                           is left; all caches, or some by name
        syscall NAME,...   system calls by name, or all: arguments and results

    Plants stops, lets the guest run and prints a line for each event: guest time,
    CPU, task, kernel function, what happened, and below it what changed in the
    address space. Ends when every followed process has ended, after N events
    (default 1000), at Ctrl-C or at a breakpoint of yours; then a summary.

    PROGRAM is a path or the last part of one: whoever executes it is followed, and
    all that it starts. PID is a process that exists; all means every process. The
    default is the current process or, while the kernel still boots, the program the
    guest was started for. The time is that of the CPU's last tick or switch.

    Example: what the demo maps, from its start on, and its system calls.
        (gdb) lab trace mmap
        (gdb) lab trace syscall openat,write /bin/demo --limit 20
    """

    def __init__(self) -> None:
        super().__init__("lab trace", gdb.COMMAND_RUNNING)

    def do(self, argument: str) -> None:
        arguments = gdb.string_to_argv(argument)
        as_json = take_json(arguments)
        limit = _take_limit(arguments)
        if going_back():
            raise Refused(BACK)
        fits.check_symbols()
        kernel.memory()
        booted = fits.check_running()
        kind = _take_kind(arguments)
        follow = _take_follow(arguments, booted)
        colour = text.in_colour()
        show: Callable[[Entry], None] = _ignore
        if not as_json:
            show = partial(_show, text.columns(), colour)
        tracer = Tracer(kind, follow, limit, show)
        if not as_json:
            most = f"{counted(limit, 'event')} at most"
            _write(f"Following {follow}; {most}, Ctrl-C ends it.")
            for sentence in (*tracer.missing, *follow.left_out):
                _write(sentence)
            terminal.write_styled(view.heading(colour) + "\n")
        with told_of_ctrl_c(tracer.interrupt):
            with _quiet_check():
                tracer.run(quietly=as_json)
            found = report.describe(tracer, as_json)
            if as_json:
                terminal.write(report_json(found))
                return
            terminal.write("\n")
            text.show_report(found)
            if gdb.selected_inferior().threads():
                show_frame()


def _take_limit(arguments: list[str]) -> int:
    if "--limit" not in arguments:
        return LIMIT
    place = arguments.index("--limit")
    given = arguments[place + 1 : place + 2]
    if not given or not given[0].isdecimal() or not int(given[0]):
        raise Refused("--limit takes a number of events, such as --limit 100.")
    del arguments[place : place + 2]
    return int(given[0])


def _take_kind(arguments: list[str]) -> Callable[[Tracer], Timeline]:
    known = ", ".join((*TIMELINES, SLAB, SYSCALL))
    if not arguments:
        raise Refused(f"lab trace takes what to follow: {known}.")
    what = arguments.pop(0)
    if what in TIMELINES:
        return TIMELINES[what]
    if what == SLAB:
        return _slab(arguments)
    if what != SYSCALL:
        raise Refused(f"There is no lab trace {what}; there are {known}.")
    if not arguments:
        raise Refused(NO_NAMES)
    names = [name for name in arguments.pop(0).split(",") if name]
    if not names:
        raise Refused(NO_NAMES)
    names = syscall.all_names() if names == [ALL] else names
    return lambda tracer: syscall.Syscalls(tracer, names)


def _slab(arguments: list[str]) -> Callable[[Tracer], Timeline]:
    """lab trace slab, of the caches that the next argument names."""
    given = arguments.pop(0) if arguments else ALL
    names = frozenset(name for name in given.split(",") if name)
    if not names:
        raise Refused(NO_CACHES)
    return lambda tracer: Slab(tracer, None if names == {ALL} else names)


def _take_follow(arguments: list[str], booted: bool) -> Follow:
    """The processes to follow. Raises Refused."""
    if len(arguments) > 1:
        raise Refused("lab trace takes one PROGRAM or PID; see `help lab trace`.")
    if not arguments:
        return _default(booted)
    (who,) = arguments
    if who == ALL:
        return Follow(everyone=True)
    if not who or who[0] in "-'\"":
        raise Refused(
            f"{who or 'An empty word'} is no PROGRAM or PID: see `help lab trace`."
        )
    if not who[0].isdecimal() and who[0] != "$":
        return Follow(program=who)
    if not booted:
        raise Refused(
            "There is no process yet: give the name of a program, or continue first."
        )
    address = task_of(str(number(who, "PID")))
    found = task.task(address)
    has_ended = all(map(task.has_exited, task.for_each_thread(address)))
    if has_ended or relatives.is_kernel_thread(address):
        kind = "has ended" if has_ended else "is a kernel thread"
        raise Refused(f"Task {found.pid} ({found.comm}) {kind}: give another PID.")
    return _process(address)


def _process(address: Ptr[TaskStruct]) -> Follow:
    """Follow the process of a task: struct task_struct *."""
    found = task.task(address)
    children = list(map(task.task, process.for_each_child(address)))
    there = [f"{child.comm} {child.pid}" for child in children]
    return Follow(tgids={found.tgid}, comm=found.comm, there=there)


def _default(booted: bool) -> Follow:
    """The current process; the lab's program while the kernel boots, which has none."""
    if not booted or not any(True for _ in task.for_each_process()):
        return Follow(program=LAB_PROGRAM)
    current = task.get_current()
    if relatives.is_kernel_thread(current) or task.has_exited(current):
        return Follow(everyone=True)
    return _process(current)


@contextmanager
def _quiet_check() -> Iterator[None]:
    """In the block a hit of the check is one line, and does not stop the guest."""
    before = check.stop_at_hit, reporter.brief
    check.stop_at_hit, reporter.brief = False, True
    try:
        yield
    finally:
        check.stop_at_hit, reporter.brief = before


def _ignore(entry: Entry) -> None:
    """Show nothing: with --json everything is written at the end."""


def _show(width: int, colour: bool, entry: Entry) -> None:
    lines = view.event_lines(entry, width, colour)
    terminal.write_styled("\n".join(lines) + "\n")
    gdb.flush()


def _write(sentence: str) -> None:
    text.show_sentence(sentence)


def _what() -> str:
    rows = [f"{kind.name:<18} {kind.follows}" for kind in TIMELINES.values()]
    return ("\n" + " " * 8).join(rows)


Trace.__doc__ = (Trace.__doc__ or "").format(what=_what())
