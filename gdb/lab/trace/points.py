# SPDX-License-Identifier: GPL-2.0-only
"""Where a timeline stops: kernel functions, with alternatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterable

import gdb

from .. import layout
from ..registers import WRAPPER
from .event import Call, Moment


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
        return next(filter(layout.has_symbol, self.functions), "")


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
            lambda moment, name=name: enter(moment, name),
            leave,
            ended,
            everyone=everyone,
        )
        for name in names
    ]


def resolve(points: list[Point], timeline: str) -> tuple[list[Point], list[str]]:
    """The points this kernel has, and a sentence for each one it has not.

    Raises gdb.GdbError for a missing one that is not optional.
    """
    there, missing = [], []
    for point in points:
        if point.function():
            there.append(point)
            continue
        names = " nor ".join(f"{name}()" for name in point.functions)
        if not point.optional:
            raise gdb.GdbError(
                f"lab trace {timeline}: this kernel has no {names}, which tells "
                f"{point.tells}: it was renamed or inlined. Build one of the lab's "
                "kernels, or add its name to gdb/lab/trace."
            )
        missing.append(f"This kernel has no {names}: not shown is {point.tells}.")
    return there, missing
