# SPDX-License-Identifier: GPL-2.0-only
"""What every `lab` command does: parse its arguments, call its report, show it."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import Iterator

import gdb

from ..result import Report
from ..target import fits, kernel, terminal
from ..target.debugger import Refused
from ..target.unforeseen import Command
from ..view import json, text
from . import arguments as arguments_


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Turn the collector off: reports have no cycles, and it would visit every row.

    In a walk of 65,000 areas it takes more than half of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def check_kernel() -> None:
    """Refuse to go on where the kernel cannot be read, or does not run yet.

    :raises Refused: see fits.check_symbols() and fits.check_running()
    """
    fits.check_symbols()
    kernel.memory()
    if not fits.check_running():
        raise Refused(fits.NOT_BOOTED)


class Lab(Command):
    """Look around in the stopped kernel: lab COMMAND [PID] [--json]

    PID is the id of a process or thread; the default is the current task of the
    selected CPU. If that task has ended but its process goes on, memory and files
    are those of a living thread. `help lab COMMAND` explains a command and gives an
    example; --json prints the same facts for a program.
    """

    def __init__(self) -> None:
        super().__init__("lab", gdb.COMMAND_DATA, prefix=True)

    def do(self, argument: str) -> None:
        if argument:
            name = argument.split()[0]
            raise Refused(f"There is no lab {name}; `help lab` lists what there is.")
        gdb.execute("help lab")


def show(report: Report, as_json: bool) -> None:
    """Write a report as text, or as JSON for a program."""
    if as_json:
        terminal.write(json.report_json(report))
    else:
        text.show_report(report)


class LabCommand(Command):
    """One sub-command. A subclass has a name, its help as docstring, and run()."""

    name = ""

    def __init__(self) -> None:
        super().__init__(f"lab {self.name}", gdb.COMMAND_DATA)

    def run(self, arguments: list[str]) -> Report:
        """Parse the arguments and gather what the command shows.

        :raises Refused: an argument is wrong, or there is nothing to show
        :raises Fault: memory cannot be read
        :raises Broken: a structure of the kernel is damaged
        """
        raise NotImplementedError

    def do(self, argument: str) -> None:
        arguments = gdb.string_to_argv(argument)
        as_json = arguments_.take_json(arguments)
        with no_garbage_collection():
            show(self.answer(arguments), as_json)

    def answer(self, arguments: list[str]) -> Report:
        """run(), if the kernel can be read. Raises as run() and check_kernel() do."""
        check_kernel()
        return self.run(arguments)

    def take(self, arguments: list[str], *names: str) -> list[str]:
        """See arguments.take()."""
        return arguments_.take(f"lab {self.name}", arguments, names)


def show_frame() -> None:
    """Show where the guest stands, as gdb does at a stop.

    By way of a string, since gdb.execute() alone would write past gdb's TUI.
    """
    frame = gdb.execute("frame", to_string=True) or ""
    terminal.write(frame.expandtabs())
