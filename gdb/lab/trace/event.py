# SPDX-License-Identifier: GPL-2.0-only
"""What a timeline is made of: a stop in a task, a call under way, an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import to_int, to_long
from ..task import Task, register
from .changes import Change

if TYPE_CHECKING:
    from .points import Point

ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")  # of a function: System V ABI


@dataclass(frozen=True)
class Moment:
    """The guest stands at a function's first instruction, or behind a call of it."""

    task: Task  # current
    cpu: int
    function: str
    time: int  # ns since boot as the guest's kernel counts them, see clock.py

    def argument(self, number: int) -> int:
        """An argument of the function at whose first instruction this is, from 0."""
        return register(ARGUMENTS[number])

    @property
    def result(self) -> int:
        """What the function returned, signed: behind its call only."""
        return to_long(register("rax"))

    @property
    def int_result(self) -> int:
        """What a function that returns int returned."""
        return to_int(register("rax"))

    @property
    def pointer(self) -> int:
        """The pointer the function returned: behind its call only."""
        return register("rax")


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
