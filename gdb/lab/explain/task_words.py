# SPDX-License-Identifier: GPL-2.0-only
"""Values of task_struct members in words, for the catalogue in task_members.py."""

from __future__ import annotations

import struct
from typing import Callable

from ..linux import kallsyms, lists, path, registers, signals, stack, task, taskflags
from ..linux.structs.sched import TaskStruct, Upid
from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Broken
from .facts import At, Shown

RSS_KINDS = ("file", "anon", "swap", "shmem")  # include/linux/mm_types_task.h


def bits(names: Callable[[int], list[str]]) -> Shown:
    """How to show a set of flags."""
    return {"decode": lambda at: " ".join(names(at.number)), "in_hex": True}


def table(names: dict[int, str]) -> Shown:
    """How to show flags that one table names."""
    return bits(lambda value: taskflags.names(value, names))


def words(function: Callable[[int], str], in_hex: bool = False) -> Shown:
    """How to show a number that stands for something."""
    return {"decode": lambda at: function(at.number), "in_hex": in_hex}


def comm_text(at: At) -> str:
    return task.comm_text(at.value) if isinstance(at.value, bytes) else ""


def task_text(at: At) -> str:
    """A pointer to a task: its name and pid."""
    if not at.number:
        return ""
    read = task.task(Ptr(at.number))
    return f"{read.comm} {read.pid}"


def list_text(at: At) -> str:
    """How many entries a list has."""
    count = sum(1 for _ in lists.list_for_each(Ptr(at.address)))
    if not count:
        return "empty"
    return "1 entry" if count == 1 else f"{count} entries"


def pid_nr(pid: int) -> str:
    """The number of a struct pid in the initial namespace. See include/linux/pid.h."""
    inside = structs.offsetof("struct pid", "numbers")
    return str(Upid(kernel.memory(), Ptr[Upid](pid + inside)).nr) if pid else ""


def path_text(at: At) -> str:
    """The path that a struct path names."""
    return text_of(path.d_path(Ptr(at.address), task.onlooker_root()))


def cpus_text(mask: int) -> str:
    """A cpumask as Cpus_allowed_list of /proc/PID/status shows it: 0-3,6."""
    runs, cpu = [], 0
    while mask >> cpu:
        first = cpu
        while mask >> cpu & 1:
            cpu += 1
        if cpu > first:
            runs.append(str(first) if cpu - first == 1 else f"{first}-{cpu - 1}")
        cpu += 1
    return ",".join(runs)


def time_text(nanoseconds: int) -> str:
    """A time of the scheduler in seconds."""
    return f"{nanoseconds / 1e9:.6f} s"


def exit_code_text(at: At) -> str:
    """How a task ended; while it lives, what its tracer's wait() gets."""
    if TaskStruct(kernel.memory(), Ptr[TaskStruct](at.start)).exit_state:
        return taskflags.exit_text(at.number)
    return taskflags.stop_text(at.number) if at.number else ""


def counts_text(at: At) -> str:
    """Counters per kind of page: enum of MM_FILEPAGES, MM_ANONPAGES, ..."""
    data = at.value if isinstance(at.value, bytes) else b""
    counts = struct.unpack(f"<{len(data) // 4}i", data)
    return " ".join(f"{kind} {count}" for kind, count in zip(RSS_KINDS, counts))


def exit_signal_text(number: int) -> str:
    """The signal the parent gets; -1 marks a thread that is not the leader."""
    if number < 0:
        return "a thread: tells nobody"
    return signals.signal_name(number) if number else ""


def ignored(at: At) -> int:
    """The signals that a sighand_struct's action ignores, as a set."""
    return _actions(at)[0]


def caught(at: At) -> int:
    """The signals that a sighand_struct's action catches, as a set."""
    return _actions(at)[1]


def _actions(at: At) -> tuple[int, int]:
    """The ignored and the caught signals, from the member action of a sighand_struct."""
    inside = structs.offsetof("struct sighand_struct", "action")
    return signals.collect_sigign_sigcatch(Ptr(at.address - inside))


def queue_text(at: At) -> str:
    """The signals queued in a struct sigpending, in order."""
    return " ".join(map(signals.signal_name, signals.queued(Ptr(at.address))))


def on_rq_text(value: int) -> str:
    """task_struct.on_rq, kernel/sched/sched.h."""
    return {0: "", 1: "queued", 2: "migrating"}.get(value, "")


def stack_text(at: At) -> str:
    """The range of a kernel stack, and how much of it the task uses."""
    if not registers.task_stack_page(Ptr(at.start)):
        return "given back" if at.number else ""
    end = at.number + registers.thread_size()
    sp = TaskStruct(kernel.memory(), Ptr[TaskStruct](at.start)).thread_sp
    used = f", {end - sp} bytes used" if at.number <= sp < end else ""
    return f"up to {end:#x}{used} when it slept last"


def get_wchan(address: Ptr[TaskStruct]) -> int:
    """Where a task sleeps, outside the scheduler; 0 if it does not sleep.

    See kernel/sched/core.c; before v5.16 (42a20f86dc19) in arch/x86/kernel/process.c.

    :param address: struct task_struct *
    :raises Fault: the task cannot be read
    """
    if TaskStruct(kernel.memory(), address).on_rq:
        return 0
    try:
        for frame in stack.unwind(address, None):
            if frame.kind == "call" and not kallsyms.in_sched_functions(frame.ip):
                return frame.ip
    except Broken:
        pass  # `lab kstack` tells why
    return 0


def state_text(at: At) -> str:
    """The bits of a state, and for a sleeper where it sleeps."""
    bits_set = " ".join(taskflags.state_names(at.number))
    place = get_wchan(Ptr(at.start)) if at.number else 0
    return bits_set + (f", sleeps in {kallsyms.symbol_name(place)}" if place else "")
