# SPDX-License-Identifier: GPL-2.0-only
"""Is the target a recording that QEMU replays, and where does it stand?

The check, the tracer and the commands ask this. In a lab that is no replay active() is
False, and checkpoint() and note() do nothing.
"""

from __future__ import annotations

import os
from typing import Any

import gdb

from ..linux.task import get_current, task
from ..linux.timekeeping import guest_time
from ..target.memory import Fault
from ..target.unforeseen import Command, handler
from .moments import FIELDS, Moment
from .monitor import replay_place
from .timetravel import OVER, Replay

# All commands that move the target. To gdb's hooks reverse-continue is a continue, and so on.
MOVES = "continue step next stepi nexti finish until advance jump signal".split()
NONE = "This is no replay: type make record in a shell, then make replay."

_replay: Replay | None = None
_asked = _registered = False
_found: list[Moment] = []  # in this session, before the package was loaded again


def this() -> Replay | None:
    """The replay that gdb is connected to, None if there is none."""
    global _replay, _asked
    if not _asked and gdb.selected_inferior().threads():
        _asked = True
        if replay_place() is not None:
            _start()
    return _replay


def needed() -> Replay:
    """This replay. Raises gdb.GdbError if there is none, or it has ended."""
    found = this()
    if found is None:
        raise gdb.GdbError(OVER if "LAB_MOMENTS" in os.environ else NONE)
    return found


def _start() -> None:
    global _replay
    _replay = Replay(_found)
    _replay.follow()
    for move in MOVES:
        gdb.execute(f"define hook-{move}\n{Prepare.name} {move}\nend")


@handler("lab replay")
def _on_end(event: object) -> None:
    global _replay, _asked
    if _replay is not None:
        _replay.close()
    _replay, _asked = None, False


EVENTS = ("exited", "connection_removed")  # at which a replay is over


class Prepare(Command):
    """What gdb runs by itself before each command that moves the target of a replay."""

    name = "replay-prepare"

    def __init__(self) -> None:
        super().__init__(self.name, gdb.COMMAND_OBSCURE)

    def do(self, argument: str) -> None:
        if _replay is not None and not _replay.travels:
            _replay.prepare(argument)


def register(found: list[tuple[Any, ...]]) -> None:
    """Follow gdb's events, and its commands that move the target.

    :param found: what release() returned before the package was loaded again
    """
    global _registered
    _registered = True
    _found[:] = (Moment(*values) for values in found)
    Prepare()
    for name in EVENTS:
        getattr(gdb.events, name).connect(_on_end)


def release() -> list[tuple[Any, ...]]:
    """Remove everything from gdb: the package is about to be loaded again.

    Returns the moments known by now, as the values of their FIELDS.
    """
    global _registered
    if _registered:
        _registered = False
        for name in EVENTS:
            getattr(gdb.events, name).disconnect(_on_end)
    known = list(_found) if _replay is None else list(_replay.moments)
    _on_end(None)
    return [tuple(getattr(moment, name) for name in FIELDS) for moment in known]


def active() -> bool:
    """Is the target a replay?"""
    return this() is not None


def travels() -> bool:
    """Is gdb in the middle of a jump, where stops are to be passed over?"""
    return _replay is not None and _replay.travels


def instruction_count() -> int:
    """Instructions since the reset. Raises gdb.GdbError if this is no replay."""
    return needed().now


def checkpoint(what: str = "") -> bool:
    """Make it quick to come back to here, up to a limit; nothing if this is no replay.

    Returns whether there is a checkpoint here or closely before.

    :param what: what happens here, to be a moment of lab timeline; "" for none
    """
    replay = this()
    if replay is None:
        return False
    if what:
        note("event", what)
    return replay.checkpoints.make(replay.now)


def note(kind: str, what: str, pid: int | None = None, comm: str = "") -> None:
    """Note a moment here: of the running thread, unless another is named."""
    replay = this()
    if replay is None:
        return
    time = None
    try:
        time = guest_time()
        if pid is None:
            current = task(get_current())
            pid, comm = current.pid, current.comm
    except (Fault, gdb.error):
        pass  # before there is a kernel
    replay.moments.add(Moment(replay.now, kind, time, pid, comm, what))


def hit_at(count: int) -> tuple[int, Moment] | None:
    """Number and moment of the hit that returns there, None if none is known."""
    replay = this()
    return replay.moments.hit_at(count) if replay is not None else None
