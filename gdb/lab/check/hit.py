# SPDX-License-Identifier: GPL-2.0-only
"""One call of segment_info(): what was observed, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..linux import errno, mm, path
from ..linux.structs.mm_types import MmStruct
from ..linux.task import Task, task_pid_vnr
from ..target import kernel
from ..target.cstruct import Ptr
from ..target.memory import Fault
from . import payload

FILL = "segment_info_fill"
ERRORS = ("EINTR", "ENOMEM", "EFAULT")  # that the call may return


@dataclass
class Call:
    """A call between its entry and its return."""

    task: Task
    cpu: int
    mm: Ptr[MmStruct]
    info: int  # struct segment_info __user *
    thread_sp: int
    stack: int  # %rsp at entry, and again at the return instruction
    started: float
    moves: tuple[int, ...] = ()  # path.moves() at entry
    entered: int = 0  # instructions since the start, in a replay
    walk: payload.Walk | None = None
    buffer: bytes | None = None  # the kernel's struct segment_info
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Hit:
    """One finished call, and what was found."""

    number: int
    task: Task
    cpu: int
    mm: Ptr[MmStruct]
    info: int
    result: int  # what the call returns: thread id or negative errno
    walk: payload.Walk | None
    buffer: bytes | None
    delivered: bytes | None
    checks: int
    mismatches: tuple[payload.Mismatch, ...]
    verdict_ms: float

    @property
    def passed(self) -> bool:
        return not self.mismatches

    @property
    def error(self) -> str:
        """The name of the error the call returns, empty if it succeeds."""
        return errno.result_text(self.result) if self.result < 0 else ""

    @property
    def summary(self) -> str:
        """The verdict in a few words."""
        failed = f", {len(self.mismatches)} failed" if self.mismatches else ""
        error = f", {self.error}" if self.error else ""
        return (
            f"{'PASS' if self.passed else 'FAIL'}{error}, {self.checks} checks{failed}"
        )


def observe(call: Call, buffer: int) -> None:
    """Walk the caller's address space and read the struct the kernel filled.

    :param buffer: struct segment_info * in the kernel
    """
    call.faults.clear()
    try:
        call.buffer = kernel.memory().read(buffer, payload.SIZE)
        walk = payload.walk(call.task, call.mm, call.thread_sp, call.info)
        moved = path.moves() != call.moves
        call.walk = payload.settle_names(walk, call.buffer, moved)
    except Fault as fault:
        call.faults.append(str(fault))


def delivered(call: Call, result: int) -> bytes | None:
    """The bytes that reached user memory, None if the call failed or they are unreadable."""
    if result < 0:
        return None
    try:
        return mm.access_process_vm(call.mm, call.info, payload.SIZE)
    except Fault as fault:
        call.faults.append(str(fault))
        return None


def judge(
    call: Call, result: int, user: bytes | None
) -> tuple[int, list[payload.Mismatch]]:
    """Compare a call's three accounts. Returns the number of checks and the mismatches.

    :param user: the bytes that reached user memory
    """
    wrong = [
        payload.Mismatch("guest", "memory", None, "readable", fault)
        for fault in call.faults
    ]
    checks = 1
    if call.walk is not None and call.buffer is not None:
        wrong += payload.compare(call.walk.data, call.buffer, "kernel")
        checks += len(payload.FIELDS)
        wrong += [
            payload.Mismatch("list", rule.rule, None, "holds", rule.broken)
            for rule in call.walk.invariants
            if not rule.holds
        ]
        checks += len(call.walk.invariants)
    if result >= 0:
        wrong += _judge_success(call, result, user)
        checks += 1 + len(payload.FIELDS)
    elif not _may_fail(call, result):
        wrong.append(payload.Mismatch("return", "result", None, "a thread id", result))
    return checks, wrong


def _may_fail(call: Call, result: int) -> bool:
    """Is this an error that the call may return?

    Once its struct is filled, it may fail only because the user's buffer is not writable.
    """
    error = errno.result_text(result)
    if call.walk is None:
        return error in ERRORS
    return error == "EFAULT" and not call.walk.takes_payload


def _judge_success(
    call: Call, result: int, user: bytes | None
) -> list[payload.Mismatch]:
    wrong = []
    tid = task_pid_vnr(call.task.address)
    if result != tid:
        wrong.append(payload.Mismatch("return", "result", None, tid, result))
    if call.walk is None:
        wrong.append(
            payload.Mismatch(
                "return", FILL, None, "called before success", "not called"
            )
        )
    elif user is not None:
        wrong += payload.compare(call.walk.data, user, "delivered")
    return wrong
