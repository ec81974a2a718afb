# SPDX-License-Identifier: GPL-2.0-only
"""The stops of one segment_info() call, and the verdict on it.

1. entry: the first instruction of __x64_sys_segment_info, where %rdi is the
   caller's pt_regs and the top of the stack the return address;
2. filled: where segment_info_fill() returns, with mmap_lock and the locks for
   stack growth and PR_SET_MM held: the areas cannot change, so what differs
   here is wrong, not out of date (except names of files that were just moved);
3. return: the return instruction of the call, for the same task with the same
   stack pointer as at entry: to gdb a thread is a CPU, and tasks move between
   CPUs. The address it returns to would not do: every system call returns there.

In a replay a hit is identified by its place, the number of instructions since the start.
Going back, gdb stops at return instructions only, and the check shows what was found
there; a call is judged only when it is executed forward from its entry.
"""

from __future__ import annotations

import time
from typing import Callable

import gdb

from ..linux import errno, path
from ..linux.structs.x86 import PtRegs
from ..linux.task import get_current, register, smp_processor_id, task
from ..replay import session, timetravel
from ..replay.monitor import going_back
from ..target import fits, kernel, structs, terminal
from ..target.cstruct import Ptr
from ..target.debugger import Missing, Refused, debugger
from ..target.memory import Fault
from ..target.ownstop import OwnStop
from ..target.unforeseen import sentence
from .hit import FILL, Call, Hit, delivered, judge, observe
from .hits import HitLog

ENTRY = "__x64_sys_segment_info"
CALLERS = ("__do_sys_segment_info", "__se_sys_segment_info", ENTRY)


class Stop(OwnStop):
    """A breakpoint of the check. If handling it fails, the guest stops and that is said."""

    def __init__(self, check: "Check", address: int, internal: bool = True) -> None:
        super().__init__(address, internal)
        self.check = check
        self.stopped = False  # did it stop the guest when it was last reached?

    def is_reached(self) -> bool:
        if session.travels():
            return False
        interrupted = False
        while True:
            try:
                self.stopped = self.handle() or interrupted
                return self.stopped
            except KeyboardInterrupt:  # Ctrl-C: handle it again, to the end, then stop
                interrupted = True
            except (Fault, Missing, Refused, gdb.GdbError, gdb.error) as error:
                self.stopped = self.check.failed(str(error))
                return self.stopped
            except Exception as mistake:
                self.stopped = self.check.failed(sentence("the check", mistake))
                return self.stopped

    def handle(self) -> bool:
        raise NotImplementedError


class EntryStop(Stop):
    """The call starts: note the task, its stack pointer and its buffer."""

    def handle(self) -> bool:
        if self.check.goes_back():
            return False
        session.checkpoint()
        started = time.perf_counter()
        kernel.refresh()
        fits.check_running()
        regs, stack = register("rdi"), register("rsp")
        current = task(get_current())
        user = PtRegs(kernel.memory(), Ptr[PtRegs](regs))
        self.check.calls[current.address] = Call(
            task=current,
            cpu=smp_processor_id(),
            mm=current.mm,
            info=user.di,
            thread_sp=user.sp,
            stack=stack,
            started=started,
            moves=path.moves(),
            entered=session.instruction_count() if session.active() else 0,
        )
        return False


class FilledStop(Stop):
    """The kernel's buffer is filled, mmap_lock is held: walk now."""

    def handle(self) -> bool:
        kernel.refresh()  # gdb has no event for going on after stop() returned False
        if self.check.goes_back():
            return False
        call = self.check.calls.get(get_current())
        buffer = register("rax")
        if call is None or errno.is_error(errno.to_long(buffer)):
            return False  # armed in the middle of a call, or the path was too long
        observe(call, buffer)
        return False


class ReturnStop(Stop):
    """The call is about to return: read what reached the user, and judge."""

    def handle(self) -> bool:
        kernel.refresh()
        back = self.check.goes_back()
        current = get_current()
        call = None if back else self.check.calls.get(current)
        if call is None and session.active():
            known = self.check.log.again(session.instruction_count())
            return known and self.check.stop_at_hit
        if call is None or register("rsp") != call.stack:
            return False  # armed in the middle of a call, or an inner function's
        result = register("rax")
        result -= (result >> 63) << 64
        return self.check.finish(call, result, delivered(call, result))


class Check:
    """The check of every call from now on: its stops and its results."""

    def __init__(self, report: Callable[[Hit], None]) -> None:
        self.stop_at_hit = True
        self.log = HitLog(report)
        self.errors: list[str] = []
        self.calls: dict[int, Call] = {}
        self._paused: list[Stop] = []
        self._entry: EntryStop | None = None
        self._filled: list[FilledStop] = []
        self._returns: list[ReturnStop] = []

    @property
    def hits(self) -> list[Hit]:
        return self.log.hits

    @property
    def armed(self) -> bool:
        return self._entry is not None and self._entry.is_valid()

    def arm(self) -> None:
        """Plant the stops. Raises Refused if the check cannot work."""
        self.disarm()
        fits.check_symbols()
        kernel.memory()  # refuses without a connection
        fits.check_running()
        structs.prepare()
        session.active()  # asked now, so that the first stop is as quick as the others
        filled, returns = _places()
        self._filled = [FilledStop(self, place) for place in filled]
        self._returns = [ReturnStop(self, place) for place in returns]
        self._entry = EntryStop(self, structs.address_of(ENTRY), internal=False)
        timetravel.before_move.append(self._before_move)
        timetravel.after_jump.append(self.calls.clear)

    def disarm(self) -> None:
        """Remove the stops; a call that is under way is not judged."""
        for stop in (self._entry, *self._filled, *self._returns):
            if stop is not None and stop.is_valid():
                stop.delete()
        self._entry, self._filled, self._returns = None, [], []
        self._paused.clear()
        self.calls.clear()
        if self._before_move in timetravel.before_move:
            timetravel.before_move.remove(self._before_move)
            timetravel.after_jump.remove(self.calls.clear)

    def catch_up(self) -> None:
        """Handle the stop where gdb stands, in case it was passed over.

        If Ctrl-C comes at the moment a breakpoint is reached, QEMU reports only
        the Ctrl-C, and gdb silently continues over that breakpoint. Handling a stop
        twice does no harm, but would show a hit of a replay twice.
        """
        self._resume()
        place = register("rip")
        for stop in (self._entry, *self._filled, *self._returns):
            if stop is not None and stop.is_valid() and stop.place == place:
                if stop.stopped:
                    stop.stopped = False
                elif stop.enabled:
                    stop.is_reached()

    def finish(self, call: Call, result: int, user: bytes | None) -> bool:
        """Judge a call and report it; returns whether gdb is to stop."""
        checks, wrong = judge(call, result, user)
        hit = Hit(
            number=0,  # the log counts them
            task=call.task,
            cpu=call.cpu,
            mm=call.mm,
            info=call.info,
            result=result,
            walk=call.walk,
            buffer=call.buffer,
            delivered=user,
            checks=checks,
            mismatches=tuple(wrong),
            verdict_ms=(time.perf_counter() - call.started) * 1000,
        )
        del self.calls[call.task.address]  # not earlier: after Ctrl-C this starts over
        self.log.add(hit)
        return self.stop_at_hit

    # --- What is different in a replay ------------------------------------------

    def goes_back(self) -> bool:
        """Is gdb executing backwards? Forgets the calls that lie in the future."""
        if not session.active():
            return False
        now = session.instruction_count()
        for current, call in list(self.calls.items()):
            if call.entered > now:
                del self.calls[current]
        return going_back()

    def _before_move(self, back: bool) -> None:
        """Going back only returns matter: QEMU would execute forward to any other stop."""
        self._resume()
        if back:
            for stop in (self._entry, *self._filled):
                if stop is not None and stop.is_valid() and stop.enabled:
                    self._paused.append(stop)
                    stop.enabled = False

    def _resume(self) -> None:
        for stop in self._paused:
            if stop.is_valid():
                stop.enabled = True
        self._paused.clear()

    def failed(self, reason: str) -> bool:
        """The check itself could not go on: stop and say why."""
        self.errors.append(reason)
        terminal.write(f"seginfo: {reason}\n", gdb.STDERR)
        return True


def _places() -> tuple[list[int], list[int]]:
    """The addresses after calls of segment_info_fill(), and of return instructions."""
    filled, returns = [], []
    for name in filter(structs.has_symbol, CALLERS):
        code = debugger().instructions(name)
        for call, after in zip(code, code[1:]):
            if call.operation.startswith("call") and f"<{FILL}>" in call.operands:
                filled.append(after.address)
        for instruction in code:
            # A kernel with CONFIG_RETHUNK jumps to a return instruction elsewhere
            thunk = "<__x86_return_thunk>" in instruction.operands
            if instruction.operation.startswith("ret") or thunk:
                returns.append(instruction.address)
    if not filled or not returns:
        raise Refused(
            f"No call of {FILL}() stands in {ENTRY}(): this kernel's segment_info.c "
            "is not the lab's; build the kernel with `make kernel`."
        )
    return sorted(set(filled)), sorted(set(returns))
