# SPDX-License-Identifier: GPL-2.0-only
"""The last gate: what nobody foresaw becomes one sentence, and gdb goes on.

gdb prints "Python Exception" and part of a traceback for any exception that leaves a
command, a function, a breakpoint, an event handler or a window. So all of these pass
through here. What the lab foresees, such as memory that cannot be read, is told as it is;
anything else is a mistake of the lab's, and the sentence asks to report it. It also shows
where it happened after `set lab debug on`, or with LAB_DEBUG=1 in the environment.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import gdb

from .. import mistakes
from ..printable import printable
from . import settings, terminal
from .debugger import Missing, Refused
from .memory import Broken, Fault

FORESEEN = (Fault, Broken, Missing, gdb.error)
DEBUG = "lab debug"


def sentence(what: str, problem: BaseException) -> str:
    """What went wrong, in one sentence; after `set lab debug on` also where.

    :param what: the command, or whatever else failed
    :param problem: how it failed
    """
    if isinstance(problem, (gdb.GdbError, Refused)):
        return str(problem)
    if isinstance(problem, FORESEEN):
        return f"{what}: {' '.join(str(problem).split()).rstrip('.')}."
    return mistakes.mistake(what, problem, debugs(), "`set lab debug on`")


def debugs() -> bool:
    """Does the person want to see where a mistake happened?"""
    try:
        return bool(gdb.parameter(DEBUG))
    except RuntimeError:  # not registered yet
        return mistakes.wanted()


@contextmanager
def refused(what: str) -> Iterator[None]:
    """Turn what goes wrong in the block into a gdb.GdbError, whose sentence gdb shows.

    Ctrl-C passes. In the block gdb's settings are those that the lab needs.
    """
    try:
        with settings.needed():
            yield
    except Exception as problem:
        raise gdb.GdbError(printable(sentence(what, problem))) from None


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Write a sentence about what goes wrong in the block, and go on after it.

    For what gdb calls by itself, where an exception would reach nobody. Ctrl-C passes.
    """
    try:
        yield
    except Exception as problem:
        terminal.write(f"{sentence(what, problem)}\n", gdb.STDERR)


def handler(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function that gdb calls by itself: see reported()."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def called(*arguments: Any) -> Any:
            with reported(what):
                return function(*arguments)

        return called

    return decorate


class Command(gdb.Command):
    """A command of the lab. A subclass has do(), and its help text as docstring."""

    def __init__(self, name: str, *kind: Any, **more: Any) -> None:
        super().__init__(name, *kind, **more)
        self.called = name

    def do(self, argument: str) -> None:
        """Do what the command is for. What it raises becomes a sentence: see refused()."""
        raise NotImplementedError

    def invoke(self, argument: str, from_tty: bool) -> None:
        with refused(self.called):
            self.do(argument)


class _Settings(gdb.Command):
    """Settings of the lab."""

    def __init__(self, name: str) -> None:
        super().__init__(name, gdb.COMMAND_DATA, prefix=True)


class _Debug(gdb.Parameter):
    """A sentence that asks to report a mistake of the lab's comes with a traceback."""

    set_doc = "Set whether the lab shows where a mistake of its own happened."
    show_doc = "Show whether the lab shows where a mistake of its own happened."

    def __init__(self) -> None:
        super().__init__(DEBUG, gdb.COMMAND_DATA, gdb.PARAM_BOOLEAN)
        self.value = mistakes.wanted()

    def get_set_string(self) -> str:
        return ""

    def get_show_string(self, value: str) -> str:
        return f"lab debug is {value}."


def register() -> None:
    """Make the switch known to gdb, once: its setting outlives the package."""
    try:
        gdb.parameter(DEBUG)
    except RuntimeError:
        for name in ("set lab", "show lab"):
            _Settings(name)
        _Debug()
