# SPDX-License-Identifier: GPL-2.0-only
"""The stops of a timeline, and its run from the first event to the end.

Every stop is a hardware breakpoint whose stop() notes what there is and lets the
guest go on. A function's return is caught at its return address, for the same
task with the same stack: to gdb a thread is a processor, and tasks move.
"""

from __future__ import annotations

from typing import Any, Callable

import gdb

from .. import clock, kernel, layout, replay
from ..memory import Broken, Fault
from ..task import Task, find_task_by_pid, get_current, register
from ..task import smp_processor_id, task

from .changes import Change
from .event import Call, Event, Moment
from .follow import Follow
from .points import Point, resolve

CTRL_C = "Ctrl-C"
CHANGING = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp"),
    *(f"r{number}" for number in range(8, 16)),
)
WORD = 8  # bytes of a return address


class Timeline:
    """What one `lab trace WHAT` follows; a subclass a WHAT."""

    name = ""
    follows = ""  # half a sentence for the help text

    def __init__(self, tracer: "Tracer") -> None:
        self.tracer = tracer

    def points(self) -> list[Point]:
        """Where it stops."""
        raise NotImplementedError

    def summary(self) -> list[Any]:
        """What all events together say: parts of a result.Result."""
        return []


class Place(gdb.Breakpoint):
    """A stop at one address, for all that has to happen there."""

    def __init__(self, tracer: "Tracer", address: int) -> None:
        super().__init__(f"*{address:#x}", gdb.BP_HARDWARE_BREAKPOINT, internal=True)
        self.silent = True
        self.tracer = tracer
        self.place = address

    def stop(self) -> bool:
        return self.tracer.at(self.place)


class Tracer:
    """One run of a timeline."""

    def __init__(
        self,
        kind: Callable[["Tracer"], Timeline],
        follow: Follow,
        limit: int,
        show: Callable[[Event], None],
    ) -> None:
        self.follow = follow
        self.limit = limit
        self.show = show
        self.events: list[Event] = []
        self.troubles: list[str] = []  # what could not be read
        self.ended = ""  # why the run ended; "" while it goes on
        self.timeline = kind(self)
        self.points, self.missing = resolve(
            [*self._own_points(), *self.timeline.points()], self.timeline.name
        )
        self._entries: dict[int, list[Point]] = {}
        self._calls: dict[int, list[Call]] = {}  # by struct task_struct *
        self._places: dict[int, Place] = {}
        self._last: dict[int, tuple] = {}  # by struct task_struct *: see _is_again()

    def _own_points(self) -> list[Point]:
        """What every timeline needs to follow processes. Before its own points."""
        return [
            Point(
                ("alloc_bprm",),
                "which program is executed",
                lambda moment: True,
                lambda moment, call: self._executes(moment),
                everyone=True,
            ),
            Point(
                ("free_bprm",),
                "whether a program was executed",
                self._executed,
                everyone=True,
            ),
            Point(
                ("wake_up_new_task",),
                "who starts whom",
                self._starts,
                everyone=True,
            ),
            Point(("do_exit",), "when a task ends", self._exits, everyone=True),
            Point(
                ("release_task",),
                "when a task is forgotten",
                lambda moment: self.follow.process_of(moment.argument(0)),
                lambda moment, call: self._released(call.note),
                everyone=True,
            ),
        ]

    def _executes(self, moment: Moment) -> None:
        if moment.result > 0 or moment.result < -4095:  # no error
            self.follow.executes(moment.task, moment.pointer)

    def _executed(self, moment: Moment) -> None:
        self.follow.executed(moment.task, moment.argument(0))
        self._end_without_processes()

    def _starts(self, moment: Moment) -> None:
        """A new task may be where one that has ended was: it has stopped nowhere."""
        self._last.pop(moment.argument(0), None)
        self.follow.starts(moment.task, moment.argument(0))

    def _exits(self, moment: Moment) -> None:
        """The calls a task is in will never return."""
        for call in reversed(self._calls.pop(moment.task.address, [])):
            if call.point.ended is not None:
                call.point.ended(moment, call)

    def _released(self, note: tuple[int, bool]) -> None:
        """release_task() has returned: with its last thread a leader may go, too."""
        tgid, leads = note
        if leads or find_task_by_pid(tgid) is None:
            self.follow.forget(tgid)
        self._end_without_processes()

    def _end_without_processes(self) -> None:
        if self.follow.all_have_ended:
            self.end("every followed process has ended")

    def end(self, reason: str) -> None:
        """Let the guest stop here."""
        self.ended = self.ended or reason

    # --- Stops ----------------------------------------------------------------

    def plant(self) -> None:
        """Set the breakpoints."""
        layout.prepare()
        for point in self.points:
            place = layout.address_of(point.function())
            self._entries.setdefault(place, []).append(point)
            self._stop_at(place)

    def remove(self) -> None:
        """Take all breakpoints back."""
        for place in self._places.values():
            if place.is_valid():
                place.delete()
        self._places.clear()

    def _stop_at(self, address: int) -> None:
        if address not in self._places:
            self._places[address] = Place(self, address)

    def at(self, place: int) -> bool:
        """The guest stands at one of the places; returns whether it is to stop."""
        try:
            self._at(place)
        except (Fault, Broken, gdb.error, gdb.GdbError) as trouble:
            self.troubles.append(str(trouble))
        except Exception as mistake:  # of ours: one event is lost, and that is told
            self.troubles.append(f"{type(mistake).__name__}: {mistake}")
        return bool(self.ended)

    def _at(self, place: int) -> None:
        kernel.refresh()  # gdb says nothing of a resumption after stop() is False
        kernel.check_running()
        current, cpu = task(get_current()), smp_processor_id()
        stack = register("rsp")
        self._leave(place, stack, current, cpu)
        points = self._entries.get(place, ())
        if not points or self._is_again(current.address, place, stack):
            return
        for point in points:
            if point.everyone or self.follow.wants(current):
                moment = self._moment(current, cpu, point.function())
                note = point.enter(moment)
                if point.leave is not None and note is not None:
                    self._expect(Call(point, moment, stack, 0, note))

    def _is_again(self, address: int, place: int, stack: int) -> bool:
        """Was this very stop handled already?

        If two processors come to a stop at once, gdb lets the first one reach its
        own a second time. The second time no register has changed.
        """
        frame = gdb.selected_frame()
        changing = (int(frame.read_register(name)) for name in CHANGING)
        seen = (place, stack, *changing)
        again = self._last.get(address) == seen
        self._last[address] = seen
        return again

    def _expect(self, call: Call) -> None:
        call.comes_back = kernel.memory().u64(call.stack)
        self._calls.setdefault(call.entered.task.address, []).append(call)
        self._stop_at(call.comes_back)

    def _leave(self, place: int, stack: int, current: Task, cpu: int) -> None:
        calls = self._calls.get(current.address, [])
        done = [
            call
            for call in calls
            if call.comes_back == place and call.stack + WORD == stack
        ]
        if done:
            self._last.pop(current.address, None)
        for call in done:
            calls.remove(call)
            moment = self._moment(current, cpu, call.entered.function)
            call.point.leave(moment, call)

    def _moment(self, current: Task, cpu: int, function: str) -> Moment:
        return Moment(current, cpu, function, clock.guest_time())

    # --- Events ---------------------------------------------------------------

    def emit(
        self,
        moment: Moment,
        what: str,
        changes: tuple[Change, ...] = (),
        lines: tuple[str, ...] = (),
        **data: Any,
    ) -> None:
        """One more line of the timeline."""
        if self.ended:
            return
        event = Event(
            number=len(self.events) + 1,
            time=moment.time,
            cpu=moment.cpu,
            pid=moment.task.tgid,
            tid=moment.task.pid,
            comm=moment.task.comm,
            function=moment.function,
            what=what,
            changes=changes,
            lines=lines,
            data=data,
        )
        self.events.append(event)
        replay.checkpoint(f"{self.timeline.name}: {what}")
        self.show(event)
        if len(self.events) >= self.limit:
            self.end(f"the limit of {self.limit:,} events is reached")

    def run(self, quietly: bool) -> None:
        """Let the guest run until the timeline ends, however it does.

        quietly drops what is written meanwhile: also gdb's word on another thread.
        To be called with Ctrl-C waited for, which could leave stops behind.
        """
        notifies = not gdb.parameter("suppress-cli-notifications")
        gdb.execute("set suppress-cli-notifications on")
        gdb.events.stop.connect(self._stopped)
        gdb.events.exited.connect(self._exited)
        try:
            self.plant()
            here = register("rip")
            if here in self._places:  # gdb goes on past a stop it stands on
                self.at(here)
            if not self.ended:
                gdb.execute("continue", to_string=quietly)
        except gdb.error as problem:  # the connection is lost
            self.end(str(problem).rstrip("."))
        finally:
            self.remove()
            gdb.events.exited.disconnect(self._exited)
            gdb.events.stop.disconnect(self._stopped)
            if notifies:
                gdb.execute("set suppress-cli-notifications off")

    def interrupt(self) -> None:
        """Somebody pressed Ctrl-C."""
        self.end(CTRL_C)

    def _stopped(self, event: gdb.StopEvent) -> None:
        """Something else stopped the guest."""
        if getattr(event, "stop_signal", "") == "SIGINT":
            self.interrupt()
        for other in getattr(event, "breakpoints", ()):
            if other.number > 0:
                self.end(f"the guest is at your breakpoint {other.number}")
        self.end("the guest has stopped")

    def _exited(self, event: gdb.ExitedEvent) -> None:
        self.end("the guest has ended")
