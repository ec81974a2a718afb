# SPDX-License-Identifier: GPL-2.0-only
"""wait4() and waitid(): whom a parent waits for, and what it gets."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ...linux import mm as mm_, registers
from ...linux.errno import result_text, to_int
from ...linux.signals import signal_name
from ...linux.taskflags import exit_text
from ...target.memory import Fault
from ..event import Moment
from .events import Wait4Returned, Waited, WaitedFor, WaitidReturned

WNOHANG = 1
P_ALL, P_PID, P_PGID, P_PIDFD = range(4)  # include/uapi/linux/wait.h
SIGINFO = struct.Struct("<iii4xiIi")  # siginfo_t: signo, errno, code, pid, uid, status
STATUS = struct.Struct("<I")
CLD_EXITED, CLD_KILLED, CLD_DUMPED = 1, 2, 3
CODES = {4: "trapped", 5: "stopped", 6: "continued"}
CONTINUED = 0xFFFF


@dataclass(frozen=True)
class Wait:
    """A call that asks for children."""

    call: str
    whom: str
    blocks: bool  # until there is one
    place: int  # where the program wants the answer, 0 for nowhere


def asked(moment: Moment, call: str) -> Wait:
    """The arguments of a call at its beginning."""
    regs = registers.pt_regs(moment.argument(0))
    first, second, third, fourth, *_ = registers.syscall_get_arguments(regs)
    if call == "waitid":
        kind, number = first & 0xFFFF_FFFF, to_int(second)
        whom = {
            P_ALL: "any child",
            P_PID: f"child {number}",
            P_PGID: f"any child of process group {number}",
            P_PIDFD: f"the child behind descriptor {number}",
        }.get(kind, "nobody")
        return Wait(call, whom, not fourth & WNOHANG, third)
    return Wait(call, _whom(to_int(first)), not third & WNOHANG, second)


def _whom(number: int) -> str:
    if number == -1:
        return "any child"
    if number > 0:
        return f"child {number}"
    group = f"process group {-number}" if number else "its own process group"
    return f"any child of {group}"


def answered(moment: Moment, wait: Wait) -> Waited | None:
    """What the program got, None if nothing."""
    result = moment.result
    if result < 0:
        what = f"{wait.call}() fails: {result_text(result)}"
        if result <= -512:
            what = f"{wait.call}() is interrupted by a signal"
        return Waited(what=what, call=wait.call, result=result)
    if wait.call == "waitid":
        return _siginfo(moment, wait)
    if not result:
        return None
    what = f"wait4() returns {result}"
    (status,) = _read(moment, wait.place, STATUS) or (None,)
    if status is None:
        return WaitedFor(what=what, call=wait.call, result=result, child=result)
    return Wait4Returned(
        what=f"{what} and the status {status:#x}: {status_text(status)}",
        call=wait.call,
        result=result,
        child=result,
        status=status,
        status_text=status_text(status),
    )


def _siginfo(moment: Moment, wait: Wait) -> Waited | None:
    read = _read(moment, wait.place, SIGINFO)
    if read is None:
        return Waited(what="waitid() returns", call=wait.call, result=0)
    _, _, code, child, _, status = read
    if not child:
        return None
    if code == CLD_EXITED:
        text = f"exit status {status & 0xFF}"
    elif code in (CLD_KILLED, CLD_DUMPED):
        core = ", core dumped" * (code == CLD_DUMPED)
        text = f"killed by {signal_name(status)}{core}"
    else:
        text = CODES.get(code, f"code {code}")
    return WaitidReturned(
        what=f"waitid() reports {child}: {text}",
        call=wait.call,
        result=0,
        child=child,
        si_code=code,
        si_status=status,
        status_text=text,
    )


def status_text(status: int) -> str:
    """A wait status, decoded with the macros of wait(2)."""
    if status == CONTINUED:
        return "continued"
    if status & 0xFF == 0x7F:
        return f"stopped by {signal_name(status >> 8 & 0xFF)}"
    return exit_text(status)


def _read(moment: Moment, place: int, form: struct.Struct) -> tuple[Any, ...] | None:
    """What the kernel has just written for the program, None if nothing."""
    if not place:
        return None
    try:
        data = mm_.access_process_vm(moment.task.mm, place, form.size)
    except Fault:
        return None  # somebody else has unmapped it since
    return form.unpack(data)
