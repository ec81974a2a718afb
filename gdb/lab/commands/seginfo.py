# SPDX-License-Identifier: GPL-2.0-only
"""The seginfo command."""

from __future__ import annotations

import os
import platform

import gdb

from ..check.hit import Hit
from ..check.hits_file import hits_file
from ..check.stops import Check, Stop
from ..target import debugger, gdb_debugger, kernel, terminal, vmlinux
from ..target.debugger import Refused
from ..target.unforeseen import Command, handler
from ..version import VERSION
from ..view import text
from ..view.json import hits_json
from .base import show_frame


class Reporter:
    """Shows each hit as it happens: the whole report, or one line."""

    def __init__(self) -> None:
        self.brief = False

    def __call__(self, hit: Hit) -> None:
        if self.brief and hit.passed:
            text.show(text.verdict(hit))
        else:
            text.show(*text.hit_parts(hit))


reporter = Reporter()
check = Check(reporter)


def start() -> None:
    """Arm the check, and say where memory is read from.

    Raises gdb.GdbError if the check cannot work here.
    """
    try:
        check.arm()
    except Refused as refusal:
        raise gdb.GdbError(str(refusal)) from None
    if kernel.is_fast():
        terminal.write(f"seginfo: armed, reading memory from the {kernel.source()}.\n")
    else:
        terminal.write(
            "seginfo: armed, reading memory through the debug stub, since this QEMU "
            "has no shared RAM file; slower, otherwise the same.\n"
        )


@handler("seginfo")
def on_stop(event: object) -> None:
    """Show where gdb stopped, if one of the check's stops did it."""
    points = getattr(event, "breakpoints", ())
    stops = (point for point in points if isinstance(point, Stop))
    ours = any(stop.stopped for stop in stops)
    check.catch_up()
    if ours:
        show_frame()


def stop() -> None:
    """Undo register(): the package is about to be loaded again."""
    check.disarm()
    gdb.events.stop.disconnect(on_stop)
    gdb_debugger.watch({})


def _no_argument(name: str, argument: str) -> None:
    if argument:
        raise Refused(f"seginfo {name} takes no argument; see `help seginfo`.")


class SegInfo(Command):
    """Check every segment_info() system call: walk, kernel copy, user copy.

    seginfo              the last hit again, and the totals
    seginfo arm          plant the stops (`source gdb/seginfo.py` did it)
    seginfo disarm       remove them
    seginfo stop         stop at each hit, when its verdict is known (default)
    seginfo run          run through: report each hit, stop at none
    seginfo brief        one line for a hit that passes
    seginfo full         the whole report for every hit (default)
    seginfo show N       hit N again
    seginfo json FILE    write all hits to FILE as JSON
    seginfo version      the versions of the lab, of gdb, and of the symbols' kernel

    A hit is one call, read three ways at the moments when they must agree: the
    debugger walks current->mm and its areas (the vm_next chain; since Linux 6.1 the
    maple tree) while the kernel holds mmap_lock, reads the buffer the kernel filled,
    and, when the call returns, the bytes that reached user memory. All 1048 bytes are
    compared, and the area list is checked by the kernel's own rules.

    Example: continue to the next call and look at its result once more.
        (gdb) continue
        (gdb) seginfo
    """

    def __init__(self) -> None:
        super().__init__("seginfo", gdb.COMMAND_DATA, prefix=True)

    def do(self, argument: str) -> None:
        if argument:
            raise Refused(
                f"There is no seginfo {argument.split()[0]}; see `help seginfo`."
            )
        if check.log.last is not None:
            text.show(*text.hit_parts(check.log.last))
        state = "armed" if check.armed else "not armed: type `seginfo arm`"
        terminal.write(f"seginfo: {text.totals(check.hits)}; {state}.\n")


class Arm(Command):
    """Plant the stops of the check: seginfo arm"""

    def __init__(self) -> None:
        super().__init__("seginfo arm", gdb.COMMAND_BREAKPOINTS)

    def do(self, argument: str) -> None:
        _no_argument("arm", argument)
        start()


class Disarm(Command):
    """Remove the stops of the check: seginfo disarm"""

    def __init__(self) -> None:
        super().__init__("seginfo disarm", gdb.COMMAND_BREAKPOINTS)

    def do(self, argument: str) -> None:
        _no_argument("disarm", argument)
        check.disarm()
        terminal.write("seginfo: disarmed.\n")


class StopAtHit(Command):
    """Stop at each hit, when its verdict is known: seginfo stop"""

    def __init__(self) -> None:
        super().__init__("seginfo stop", gdb.COMMAND_RUNNING)

    def do(self, argument: str) -> None:
        _no_argument("stop", argument)
        check.stop_at_hit = True


class RunThrough(Command):
    """Report each hit and stop at none: seginfo run"""

    def __init__(self) -> None:
        super().__init__("seginfo run", gdb.COMMAND_RUNNING)

    def do(self, argument: str) -> None:
        _no_argument("run", argument)
        check.stop_at_hit = False


class Brief(Command):
    """One line for a hit that passes: seginfo brief"""

    def __init__(self) -> None:
        super().__init__("seginfo brief", gdb.COMMAND_DATA)

    def do(self, argument: str) -> None:
        _no_argument("brief", argument)
        reporter.brief = True


class Full(Command):
    """The whole report for every hit: seginfo full"""

    def __init__(self) -> None:
        super().__init__("seginfo full", gdb.COMMAND_DATA)

    def do(self, argument: str) -> None:
        _no_argument("full", argument)
        reporter.brief = False


class Show(Command):
    """Show the report of hit N again: seginfo show N"""

    def __init__(self) -> None:
        super().__init__("seginfo show", gdb.COMMAND_DATA)

    def do(self, argument: str) -> None:
        known = f"there are {len(check.hits)} hits so far"
        if not argument.isdecimal():
            raise Refused(f"seginfo show takes the number of a hit; {known}.")
        hit = check.log.hit(int(argument))
        if hit is None:
            raise Refused(f"There is no hit {argument}; {known}.")
        text.show(*text.hit_parts(hit))


class Json(Command):
    """Write all hits to a file: seginfo json FILE"""

    def __init__(self) -> None:
        super().__init__("seginfo json", gdb.COMMAND_DATA, gdb.COMPLETE_FILENAME)

    def do(self, argument: str) -> None:
        if not argument:
            raise Refused("seginfo json takes the name of the file to write.")
        write_hits(os.path.expanduser(argument))


class Version(Command):
    """The versions of the lab and what it runs on, for a report: seginfo version"""

    def __init__(self) -> None:
        super().__init__("seginfo version", gdb.COMMAND_SUPPORT)

    def do(self, argument: str) -> None:
        _no_argument("version", argument)
        try:
            kernel_is = f"symbols of Linux {vmlinux.release()}"
        except (Refused, debugger.Missing):
            kernel_is = "no kernel's symbols"
        terminal.write(
            f"seginfo {VERSION}; gdb {gdb_debugger.version()}, Python {platform.python_version()}; "
            f"{kernel_is}.\n"
        )


def write_hits(name: str, program_ended: int | None = None) -> None:
    """Write all hits to a file as JSON. Raises gdb.GdbError.

    :param program_ended: the exit status of the guest's program, None if it is not known
    """
    hits = hits_file(
        vmlinux.release(), check.hits, len(check.calls), check.errors, program_ended
    )
    try:
        with open(name, "w", encoding="ascii") as out:
            out.write(hits_json(hits))
    except OSError as error:
        raise gdb.GdbError(f"Cannot write {name}: {error.strerror}.") from None


def register() -> None:
    """Register the commands with gdb, and follow its events."""
    debugger.use(gdb_debugger.GdbDebugger())
    gdb_debugger.watch(kernel.EVENTS)
    gdb.events.stop.connect(on_stop)
    for command in (
        SegInfo,
        Arm,
        Disarm,
        StopAtHit,
        RunThrough,
        Brief,
        Full,
        Show,
        Json,
        Version,
    ):
        command()
