# SPDX-License-Identifier: GPL-2.0-only
"""A timeline's run, from the first event to the end."""

from __future__ import annotations

from typing import Any, Callable

import gdb

from ..linux.task import find_task_by_pid, register
from ..replay import session
from ..result import Part
from ..sizes import counted
from ..target.unforeseen import handler
from .event import Entry, Event, Moment, Point, resolve
from .follow import Follow
from .stops import Stops

CTRL_C = "Ctrl-C"


class Timeline:
    """What one `lab trace WHAT` follows; a subclass a WHAT."""

    name = ""
    follows = ""  # half a sentence for the help text

    def __init__(self, tracer: "Tracer") -> None:
        self.tracer = tracer

    def points(self) -> list[Point]:
        """Where it stops."""
        raise NotImplementedError

    def progress(self, cpu: int) -> Any:
        """What tells two stops apart at which a CPU has the same registers.

        For functions that entry code calls with all registers cleared.
        """
        return None

    def summary(self) -> list[Part]:
        """What all events together say: parts of a report, see result.py."""
        return []


class Tracer(Stops):
    """One run of a timeline."""

    def __init__(
        self,
        kind: Callable[["Tracer"], Timeline],
        follow: Follow,
        limit: int,
        show: Callable[[Entry], None],
    ) -> None:
        super().__init__(follow)
        self.limit = limit
        self.show = show
        self.entries: list[Entry] = []
        self.timeline = kind(self)
        self.points, self.missing = resolve(
            [*self._own_points(), *self.timeline.points()], self.timeline.name
        )

    def _own_points(self) -> list[Point]:
        """What every timeline needs to follow processes. Before its own points."""
        return [
            Point(
                ("alloc_bprm",),
                "which program is executed",
                lambda moment: True,
                lambda moment, call: self._executes(moment),
                everyone=True,
                waiting=True,
            ),
            Point(
                ("free_bprm",),
                "whether a program was executed",
                self._executed,
                everyone=True,
                waiting=True,
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
                self._releases,
                lambda moment, call: self._released(*call.note),
                everyone=True,
            ),
        ]

    def _executes(self, moment: Moment) -> None:
        if moment.result > 0 or moment.result < -4095:  # no error
            self.follow.executes(moment.task, moment.pointer)
            self.enable_points()

    def _executed(self, moment: Moment) -> None:
        self.follow.executed(moment.task, moment.argument(0))
        self.enable_points()
        self._end_without_processes()

    def _starts(self, moment: Moment) -> None:
        """A new task may be where one that has ended was: it has stopped nowhere."""
        self._last.pop(moment.argument(0), None)
        self.follow.starts(moment.task, moment.argument(0))

    def _exits(self, moment: Moment) -> None:
        """The calls a task is in will never return."""
        for call in reversed(self._calls.pop(moment.task.address, [])):
            if call.point.ended is not None:
                self._try(call.point.ended, moment, call)

    def _releases(self, moment: Moment) -> tuple[int, tuple[int, bool] | None]:
        """Which task, and of which process: it is read before it is gone."""
        released = moment.argument(0)
        return released, self.follow.process_of(released)

    def _released(self, released: int, process: tuple[int, bool] | None) -> None:
        """release_task() has returned: with its last thread a leader may go, too."""
        self._last.pop(released, None)
        self._calls.pop(released, None)
        if process is None:
            return
        tgid, leads = process
        if leads or find_task_by_pid(tgid) is None:
            self.follow.forget(tgid)
        self._end_without_processes()

    def _end_without_processes(self) -> None:
        if self.follow.all_have_ended:
            self.end("every followed process has ended")

    def progress(self, cpu: int) -> Any:
        return self.timeline.progress(cpu)

    def end(self, reason: str) -> None:
        """Let the guest stop here."""
        self.ended = self.ended or reason

    # --- Events ---------------------------------------------------------------

    def emit(self, moment: Moment, event: Event) -> None:
        """Add an event to the timeline, and show it."""
        if self.ended:
            return
        entry = Entry(
            number=len(self.entries) + 1,
            time_ns=moment.time,
            cpu=moment.cpu,
            pid=moment.task.tgid,
            tid=moment.task.pid,
            comm=moment.task.comm,
            function=moment.function,
            event=event,
        )
        self.entries.append(entry)
        session.checkpoint(f"{self.timeline.name}: {event.what}")
        self.show(entry)
        if len(self.entries) >= self.limit:
            self.end(f"the limit of {counted(self.limit, 'event')} is reached")

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

    @handler("lab trace")
    def _stopped(self, event: object) -> None:
        """Something else stopped the guest."""
        if getattr(event, "stop_signal", "") == "SIGINT":
            self.interrupt()
        for other in getattr(event, "breakpoints", ()):
            if other.number > 0:
                self.end(f"the guest is at your breakpoint {other.number}")
        self.end("the guest has stopped")

    @handler("lab trace")
    def _exited(self, event: object) -> None:
        self.end("the guest has ended")
