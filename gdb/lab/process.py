# SPDX-License-Identifier: GPL-2.0-only
"""What ps knows of a task: state, family, credentials (fs/proc/array.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from . import kernel, layout, task

PF_KTHREAD = 0x0020_0000  # include/linux/sched.h
TASK_REPORT = 0x7F  # the states get_task_state() tells apart
TASK_NOLOAD = 0x400
TASK_UNINTERRUPTIBLE = 0x2
STATE_LETTERS = "RSDTtXZP"  # by the highest bit set: task_index_to_char()

# task_struct.state became __state in v5.14 (2f064a59a11f); cpu moved into
# thread_info in v5.16 (bcf9033e5449); 64-bit states became 32-bit with it.
TASK = layout.Form(
    "struct task_struct",
    "pid",
    "tgid",
    "comm",
    "flags",
    "exit_state",
    "real_parent",
    "cred",
    "signal",
    "?state",
    "?__state",
    "?cpu",
    thread_cpu="?thread_info.cpu",
)
CRED = layout.Form("struct cred", "uid", "euid")
SIGNAL = layout.Form("struct signal_struct", "nr_threads")


@dataclass(frozen=True)
class Process:
    """A task as ps shows it."""

    address: int  # struct task_struct *
    pid: int
    tgid: int
    ppid: int  # the thread group of the real parent
    uid: int
    euid: int
    state: str  # the letter of /proc/PID/stat
    cpu: int
    threads: int
    comm: str
    is_kernel_thread: bool


def task_state_to_char(state: int, exit_state: int) -> str:
    """The letter of a task's state: task_state_to_char() in sched.h."""
    if state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD) == (
        TASK_UNINTERRUPTIBLE | TASK_NOLOAD
    ):
        return "I"
    return STATE_LETTERS[((state | exit_state) & TASK_REPORT).bit_length()]


def process(address: int) -> Process:
    """Read one task. Parameter: struct task_struct *. Raises memory.Fault."""
    guest = kernel.memory()
    read = TASK(guest, address)
    cred = CRED(guest, read.cred)
    parent = TASK(guest, read.real_parent)
    return Process(
        address=address,
        pid=read.pid,
        tgid=read.tgid,
        ppid=parent.tgid,
        uid=int.from_bytes(cred.uid, "little"),
        euid=int.from_bytes(cred.euid, "little"),
        state=task_state_to_char(read.state, read.exit_state),
        cpu=read.cpu if hasattr(read, "cpu") else read.thread_cpu,
        threads=SIGNAL(guest, read.signal).nr_threads,
        comm=read.comm.split(b"\0")[0].decode("utf-8", "replace"),
        is_kernel_thread=bool(read.flags & PF_KTHREAD),
    )


def processes() -> Iterator[Process]:
    """All processes in the kernel's order. Raises Broken, memory.Fault."""
    return map(process, task.for_each_process())
