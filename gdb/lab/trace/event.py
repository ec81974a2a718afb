# SPDX-License-Identifier: GPL-2.0-only
"""What a timeline is made of: a stop in a task, a call under way, an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Callable, Iterable

from ..linux.errno import to_int, to_long
from ..linux.mm_changes import Change
from ..linux.registers import WRAPPER
from ..linux.task import Task, register
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


@dataclass(frozen=True)
class Event:
    """One line of a timeline."""

    number: int
    time: int  # ns since boot, of its moment
    cpu: int
    pid: int
    tid: int
    comm: str
    function: str
    what: str  # one sentence for a person
    changes: tuple[Change, ...] = ()  # of the address space
    lines: tuple[str, ...] = ()  # a drawing below the sentence
    data: dict[str, Any] = field(default_factory=dict)  # the same for a program


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
        )
        for name in names
    ]


def resolve(points: list[Point], timeline: str) -> tuple[list[Point], list[str]]:
    """The points this kernel has, and a sentence for each one it has not.

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
