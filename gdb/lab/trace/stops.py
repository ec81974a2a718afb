# SPDX-License-Identifier: GPL-2.0-only
"""Where a timeline stops, and who does what there.

Every stop is a hardware breakpoint whose stop() notes what there is and lets the
guest go on. A function's return is caught at its return address, for the same
task with the same stack: to gdb a thread is a processor, and tasks move.
"""

from __future__ import annotations

from typing import Any, Callable

import gdb

from ..linux import timekeeping
from ..linux.task import Task, get_current, register, smp_processor_id, task
from ..target import fits, kernel, structs
from ..target.debugger import Missing, Refused, debugger
from ..target.memory import Broken, Fault
from ..target.ownstop import OwnStop
from ..target.unforeseen import sentence
from .event import Call, Moment, Point
from .follow import Follow

CHANGING = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp"),
    *(f"r{number}" for number in range(8, 16)),
)
WORD = 8  # bytes of a return address


class Place(OwnStop):
    """A stop at one address, for all that has to happen there."""

    def __init__(self, stops: "Stops", address: int) -> None:
        super().__init__(address)
        self.stops = stops

    def is_reached(self) -> bool:
        return self.stops.at(self.place)


class Stops:
    """All stops of one run. A subclass says at which points, and what ends it."""

    def __init__(self, follow: Follow) -> None:
        self.follow = follow
        self.points: list[Point] = []
        self.troubles: list[str] = []  # what could not be read
        self.ended = ""  # why the run ended; "" while it goes on
        self._entries: dict[int, list[Point]] = {}
        self._calls: dict[int, list[Call]] = {}  # by struct task_struct *
        self._places: dict[int, Place] = {}
        self._meanwhile = False
        self._last: dict[
            int, tuple[Any, ...]
        ] = {}  # by struct task_struct *: see _is_again()

    def plant(self) -> None:
        """Set the breakpoints."""
        structs.prepare()
        for point in self.points:
            place = structs.address_of(point.function())
            self._entries.setdefault(place, []).append(point)
            self._stop_at(place)
        self.stop_meanwhile(False)

    def remove(self) -> None:
        """Take all breakpoints back."""
        for place in self._places.values():
            if place.is_valid():
                place.delete()
        self._places.clear()

    def stop_meanwhile(self, on: bool) -> None:
        """Stop at the points that are only for meanwhile, or no more.

        For functions that the whole kernel calls all the time, such as up_write().
        """
        self._meanwhile = on
        self.enable_points()

    def enable_points(self) -> None:
        """Stop only where somebody may be of interest.

        A stop takes milliseconds, and gdb plants and removes every breakpoint at each:
        with all system calls they are more than 300. While the kernel boots and nobody
        executes the program, hundreds of tasks come and go.
        """
        waiting = self.follow.is_waiting
        for place, points in self._entries.items():
            wanted = any(
                (self._meanwhile or not point.meanwhile)
                and (point.waiting or not waiting)
                for point in points
            )
            stop = self._places[place]
            if stop.enabled != wanted:
                stop.enabled = wanted

    def stop_at(self, address: int, point: Point) -> None:
        """Stop at an address as well, such as that of a module's function."""
        self._entries[address] = [point]
        self._stop_at(address)
        self.enable_points()

    def stop_no_more(self, address: int) -> None:
        """Take a stop_at() back."""
        if self._entries.pop(address, None):
            self._places[address].enabled = False

    def _stop_at(self, address: int) -> None:
        if address not in self._places:
            self._places[address] = Place(self, address)

    def at(self, place: int) -> bool:
        """The guest stands at one of the places; returns whether it is to stop."""
        self._try(self._at, place)
        return bool(self.ended)

    def _try(self, step: Callable[..., None], *given: Any) -> None:
        """Do something, and keep it to itself if that fails."""
        try:
            step(*given)
        except (Fault, Broken, Missing, Refused, gdb.error) as trouble:
            self.troubles.append(str(trouble))
        except Exception as mistake:  # of ours: one event is lost, and that is told
            self.troubles.append(sentence("an event", mistake).rstrip("."))

    def _at(self, place: int) -> None:
        kernel.refresh()  # gdb says nothing of a resumption after stop() is False
        fits.check_running()
        current, cpu = task(get_current()), smp_processor_id()
        stack = register("rsp")
        self._leave(place, stack, current, cpu)
        points = self._entries.get(place, ())
        if not points or self._is_again(current.address, cpu, place, stack):
            return
        for point in points:
            self._try(self._enter, point, current, cpu, stack)

    def _enter(self, point: Point, current: Task, cpu: int, stack: int) -> None:
        if not point.everyone and not self.follow.wants(current):
            return
        moment = self._moment(current, cpu, point.function())
        note = point.enter(moment)
        if point.leave is not None and note is not None:
            self._expect(Call(point, moment, stack, 0, note))

    def progress(self, cpu: int) -> Any:
        """What has changed when a CPU comes to a stop again with the same registers."""
        return None

    def _is_again(self, address: int, cpu: int, place: int, stack: int) -> bool:
        """Was this very stop handled already?

        If two processors come to a stop at once, gdb lets the first one reach its
        own a second time. The second time no register has changed.
        """
        asked = debugger()
        changing = asked.registers(asked.selected_thread(), CHANGING)
        seen = (place, stack, self.progress(cpu), *changing.values())
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
        for call in done:
            moment = self._moment(current, cpu, call.entered.function)
            assert call.point.leave is not None  # or _enter() would expect no return
            self._try(call.point.leave, moment, call)

    def _moment(self, current: Task, cpu: int, function: str) -> Moment:
        return Moment(current, cpu, function, timekeeping.guest_time())
