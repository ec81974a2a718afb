# SPDX-License-Identifier: GPL-2.0-only
"""What a timeline is made of: a stop in a task, a call in progress, an event."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Callable, ClassVar, Iterable

from ..linux.errno import to_int, to_long
from ..linux.mm_changes import Change
from ..linux.registers import WRAPPER
from ..linux.task import Task, register
from ..result import Number, Words
from ..target import structs
from ..target.cstruct import Ptr
from ..target.debugger import Refused

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")  # of a function: System V ABI


@dataclass(frozen=True)
class Moment:
    """The guest stands at a function's first instruction, or behind a call of it."""

    task: Task  # current
    cpu: int
    function: str
    time: int  # ns since boot as the guest's kernel counts them, see linux/timekeeping.py

    def argument(self, number: int) -> Ptr[Any]:
        """An argument of the function at whose first instruction this is, from 0."""
        return Ptr(register(ARGUMENTS[number]))

    @property
    def result(self) -> int:
        """What the function returned, signed: behind its call only."""
        return to_long(register("rax"))

    @property
    def int_result(self) -> int:
        """What a function that returns int returned."""
        return to_int(register("rax"))

    @property
    def pointer(self) -> Ptr[Any]:
        """The pointer the function returned: behind its call only."""
        return Ptr(register("rax"))


@dataclass
class Call:
    """A function that was entered and has not returned."""

    point: Point
    entered: Moment
    stack: int  # %rsp at the first instruction; 8 more behind the call
    comes_back: int  # the return address
    note: Any  # what the point's enter() wanted to remember


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. A subclass for each kind of event says what it tells.

    The fields of a subclass are its members as JSON, in their order; `what`, `changes`
    and `lines` show the same to a person. Kinds of one timeline differ by their step.
    """

    kinds: ClassVar[dict[str, list[type[Event]]]] = {}  # by the timeline's name
    step: ClassVar[str] = ""  # "" where a timeline has events of one kind only

    what: str  # one sentence
    changes: tuple[Change, ...] = ()  # of the address space
    lines: tuple[str, ...] = ()  # a drawing below the sentence

    def __init_subclass__(cls, timeline: str = "", step: str = "") -> None:
        """Without a timeline a subclass is what several kinds have in common."""
        cls.step = step or cls.step
        if timeline:
            Event.kinds.setdefault(timeline, []).append(cls)


@dataclass(frozen=True)
class Entry:
    """An event with its place in the timeline."""

    number: Number
    time_ns: Number  # since boot
    cpu: Number
    pid: Number
    tid: Number
    comm: Words
    function: Words
    event: Event

    def _asdict(self) -> dict[str, Any]:
        """As JSON: the members of its event are its own, and the step among them."""
        found = {part.name: getattr(self, part.name) for part in fields(self)}
        event = found.pop("event")
        found |= {"what": event.what}
        found |= {"changes": [change.data for change in event.changes]}
        found |= {"lines": event.lines}
        if event.step:
            found["step"] = event.step
        return found | {name: getattr(event, name) for name in own_members(type(event))}


def own_members(kind: type[Event]) -> list[str]:
    """What a kind of event has that not all have."""
    common = {part.name for part in fields(Event)}
    return [part.name for part in fields(kind) if part.name not in common]


@dataclass(frozen=True)
class Point:
    """A function of the kernel at which a timeline stops.

    enter() is called at its first instruction and says what to remember, None if
    this call does not matter; leave() behind the call, with what was remembered;
    ended() instead if the task ends before the function returns.
    """

    functions: tuple[str, ...]  # the first that the kernel has is taken
    tells: str  # what is not known without it: "when the old mm is dropped"
    enter: Callable[[Moment], Any]
    leave: Callable[[Moment, Call], None] | None = None
    ended: Callable[[Moment, Call], None] | None = None
    optional: bool = False
    everyone: bool = False  # also for tasks that are not followed
    waiting: bool = False  # also while nobody is followed yet
    meanwhile: bool = False  # stopped at only between Tracer.stop_meanwhile()s

    def function(self) -> str:
        """The name of the function in this kernel, "" if it has none of them."""
        return next(filter(structs.has_symbol, self.functions), "")


def _enter(enter: Callable[[Moment, str], Any], name: str, moment: Moment) -> Any:
    return enter(moment, name)


def system_calls(
    names: Iterable[str],
    enter: Callable[[Moment, str], Any],
    leave: Callable[[Moment, Call], None],
    ended: Callable[[Moment, Call], None] | None = None,
    everyone: bool = False,
    waiting: bool = False,
) -> list[Point]:
    """A point for each system call of some, whose enter() also gets its name."""
    return [
        Point(
            (WRAPPER + name,),
            f"system call {name}",
            partial(_enter, enter, name),
            leave,
            ended,
            everyone=everyone,
            waiting=waiting,
        )
        for name in names
    ]


def resolve(points: list[Point], timeline: str) -> tuple[list[Point], list[str]]:
    """The points this kernel has, and a sentence for each one it lacks.

    Raises Refused for a missing one that is not optional.
    """
    there, missing = [], []
    for point in points:
        if point.function():
            there.append(point)
            continue
        names = " nor ".join(f"{name}()" for name in point.functions)
        if not point.optional:
            raise Refused(
                f"lab trace {timeline}: this kernel has no {names}, which tells "
                f"{point.tells}: it was renamed or inlined. Build one of the lab's "
                "kernels, or add its name to gdb/lab/trace."
            )
        missing.append(f"This kernel has no {names}: not shown is {point.tells}.")
    return there, missing
