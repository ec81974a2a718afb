# SPDX-License-Identifier: GPL-2.0-only
"""Moving through a recording that QEMU replays, within its bounds.

QEMU goes back by loading the nearest earlier checkpoint (one of its snapshots) and
executing forward from there, so going back is as quick as checkpoints are close.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import gdb

from ..target import kernel, structs, terminal
from ..target.memory import START_KERNEL_MAP
from ..target.ownstop import OwnStop
from ..target.unforeseen import handler
from .checkpoints import Checkpoints
from .moments import Moment, Moments
from .monitor import forward, going_back, monitor, quiet, replay_place, uninterrupted

ENTRY = "pvh_start_xen"  # arch/x86/platform/pvh/head.S
RESTART = "native_machine_emergency_restart"  # arch/x86/kernel/reboot.c
STARTS = "The recording starts here: continue, or lab goto N."
ENDS = "The recording ends here: reverse-continue, or lab goto N."
INT = "SIGINT"  # gdb's signal for Ctrl-C; going back nothing else causes it
OVER = "QEMU has ended, and the replay with it: quit, then type make replay again."
WROTE = (
    "The instruction before this one wrote to watched memory, or close to it: reverse-stepi "
    "goes back over it. lab blame ADDR looks closely."
)

# Called before the target moves, with True if it is about to go back.
before_move: list[Callable[[bool], None]] = []
# Called after a jump: no stop has followed what was executed.
after_jump: list[Callable[[], None]] = []


class Replay:
    """The replay that gdb is connected to."""

    def __init__(self, found: list[Moment]) -> None:
        """:param found: moments that are known besides those of the recording"""
        known = os.environ.get("LAB_MOMENTS")
        self.moments = Moments.load(Path(known)) if known else Moments()
        for moment in found:
            self.moments.add(moment)
        self.travels = False  # in the middle of a jump: no stop is meant for the person
        self.move = ""  # how the target was moved last: one of session.MOVES
        self.torn = False  # did Ctrl-C interrupt the last move back?
        self.checkpoints = Checkpoints()
        self.bounds: list[Bound] = []
        if self.moments.end is not None:
            self.bounds.append(StartStop(self))
            if structs.has_symbol(RESTART):
                self.bounds.append(EndStop(self))

    @property
    def now(self) -> int:
        place = replay_place()
        if place is None:
            raise gdb.GdbError(OVER)
        return place

    @property
    def start(self) -> int:
        """Where the replay starts."""
        return self.checkpoints.first

    # --- Moving -----------------------------------------------------------------

    def prepare(self, move: str) -> None:
        """gdb is about to move the target: stay within the recording."""
        self.move = move
        now, back = self.now, going_back()
        for listener in before_move:
            listener(back)
        if back and now <= self.start:
            raise gdb.GdbError(STARTS)
        if not back and self.moments.end is not None:
            if now >= self.moments.end:
                raise gdb.GdbError(ENDS)
            if self.torn:
                self._finish_going_back()
            # Beyond EndStop, for a guest that ends in another way
            self._break_at(self.moments.end + 1)

    def _finish_going_back(self) -> None:
        """Go one instruction back and forward again, to end a move back for QEMU, too.

        After Ctrl-C it still looks for the last breakpoint before the place where the move
        began, and would pass over all of them (replay_is_debugging, replay-debugging.c).
        """
        now, level = self.now, gdb.selected_frame().level()
        with uninterrupted(), self.undisturbed(), quiet():
            if now <= self.start:
                self.run_until(now + 1)
            gdb.execute("reverse-stepi", to_string=True)
            if self.now < now:
                gdb.execute("stepi", to_string=True)
            self.torn = False
        gdb.execute(f"frame {level}", to_string=True)

    def _break_at(self, count: int) -> None:
        monitor("replay_delete_break")
        monitor(f"replay_break {count}")

    def travel(self, count: int) -> None:
        """Jump to an instruction. Raises gdb.GdbError if that is impossible."""
        end, now = self.moments.end, self.now
        if count < self.start or (end is not None and count > end):
            raise gdb.GdbError(
                f"Instruction {count} is not in the recording, which has those from "
                f"{self.start} to {end}."
            )
        base = self.checkpoints.before(count)
        with uninterrupted(), self.undisturbed():
            if base is not None and not base <= now <= count:
                self._load(base)
            if base is not None and self.now < count:
                self.run_until(count)
                monitor("replay_delete_break")
            kernel.forget()  # it may be from before there was a kernel
            now = self.now
        if now != count:
            raise gdb.GdbError(
                f"Instruction {count} was not reached, this is {now}: start the replay "
                "again."
            )

    def _load(self, count: int) -> None:
        monitor("replay_delete_break")  # QEMU aborts if that would be in the past
        answer = monitor(f"loadvm {self.checkpoints.names[count]}").strip()
        # gdb does not know that the target has moved
        for cache in ("register-cache", "dcache"):
            gdb.execute(f"maintenance flush {cache}", to_string=True)
        gdb.invalidate_cached_frames()
        if answer:
            raise gdb.GdbError(f"QEMU cannot load a checkpoint: {answer}")

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """In the block no breakpoint stops the target, and nobody follows it."""
        stops = [stop for stop in gdb.breakpoints() if stop.enabled]
        before, self.travels = self.travels, True
        try:
            for stop in stops:
                stop.enabled = False
            with forward():
                yield
        finally:
            self.travels = before
            for stop in filter(gdb.Breakpoint.is_valid, stops):
                stop.enabled = True
            for listener in after_jump:
                listener()

    def run_until(self, count: int) -> None:
        """Execute up to an instruction, or to the next stop before it."""
        self._break_at(count)
        with quiet():
            gdb.execute("continue", to_string=True)

    @property
    def is_over(self) -> bool:
        """Has the machine been reset? Then QEMU can only quit."""
        return "shutdown" in monitor("info status")

    @handler("lab replay")
    def stopped(self, event: object) -> None:
        """Say what is special about the place where gdb stopped."""
        try:
            if not self.travels:
                self.torn = getattr(event, "stop_signal", "") == INT and going_back()
                self._say(event)
        except KeyboardInterrupt:
            pass  # it has stopped

    def _say(self, event: object) -> None:
        now = self.now
        if now == self.moments.end:
            terminal.write(f"{ENDS}\n")
        elif now <= self.start:
            kernel.forget()
            terminal.write(f"{STARTS}\n")
        elif self.move == "continue" and going_back():
            # gdb cannot tell: QEMU does not say that it was a watchpoint
            plain = type(event) is gdb.StopEvent  # type: ignore[attr-defined]
            stops = gdb.breakpoints() if plain else ()
            if any(stop.type == gdb.BP_HARDWARE_WATCHPOINT for stop in stops):
                terminal.write(f"{WROTE}\n")

    def follow(self) -> None:
        """Follow gdb's stops."""
        gdb.events.stop.connect(self.stopped)

    def close(self) -> None:
        """Remove everything from gdb."""
        gdb.events.stop.disconnect(self.stopped)
        for stop in filter(gdb.Breakpoint.is_valid, self.bounds):
            stop.delete()


class Bound(OwnStop):
    """A place beyond which nothing can be executed, in one direction."""

    def __init__(self, replay: Replay, address: int) -> None:
        super().__init__(address)
        self.replay = replay

    def is_reached(self) -> bool:
        # An exception here would leave gdb waiting for a stop that has happened already
        try:
            return self.is_here()
        except (Exception, KeyboardInterrupt):
            return True

    def is_here(self) -> bool:
        """Has the target come there on a move in that direction?"""
        raise NotImplementedError


class StartStop(Bound):
    """The kernel's first instruction, going back: QEMU has no earlier checkpoint."""

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay, entry())

    def is_here(self) -> bool:
        return going_back() and self.replay.now == self.replay.start


class EndStop(Bound):
    """The guest is about to reset the machine, and QEMU would end."""

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay, structs.address_of(RESTART))

    def is_here(self) -> bool:
        return not self.replay.travels and self.replay.now == self.replay.moments.end


def entry() -> int:
    """Where the firmware jumps to: a physical address, because paging is off."""
    return structs.address_of(ENTRY) - START_KERNEL_MAP
