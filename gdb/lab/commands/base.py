# SPDX-License-Identifier: GPL-2.0-only
"""What every `lab` command does: read its arguments, run, show the result."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import Iterator

import gdb

from ..linux import mm as mm_, pgtable, task
from ..reports.addresses import canonical
from ..result import Report
from ..target import fits, kernel, terminal
from ..target.debugger import Refused
from ..target.unforeseen import Command
from ..view import json, text


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Look for no cycles meanwhile: there are none, and all rows would be visited.

    Of a walk of 65,000 areas that is more than half of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Lab(Command):
    """Look around in the stopped kernel: lab COMMAND [PID] [--json]

    PID is the id of a process or thread; without it the current task of the
    selected CPU is meant. Where that task has ended and its process goes on, memory
    and files are those of a thread that lives. `help lab COMMAND` explains a command
    and gives an example; --json gives the same facts for a program.
    """

    def __init__(self) -> None:
        super().__init__("lab", gdb.COMMAND_DATA, prefix=True)

    def do(self, argument: str) -> None:
        if argument:
            name = argument.split()[0]
            raise gdb.GdbError(
                f"There is no lab {name}; `help lab` lists what there is."
            )
        gdb.execute("help lab")


def show(report: Report, as_json: bool) -> None:
    """Write a report for a person or for a program."""
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
        """Find out what the command shows. Raises gdb.GdbError, Fault, Broken."""
        raise NotImplementedError

    def do(self, argument: str) -> None:
        arguments = gdb.string_to_argv(argument)
        as_json = "--json" in arguments
        if as_json:
            arguments.remove("--json")
        try:
            fits.check_symbols()
            kernel.memory()
            running = fits.check_running()
        except Refused as refusal:
            raise gdb.GdbError(str(refusal)) from None
        if not running:
            raise gdb.GdbError(
                "The kernel does not run yet: continue to a breakpoint in it first."
            )
        with no_garbage_collection():
            show(self.run(arguments), as_json)

    def take(self, arguments: list[str], *names: str) -> list[str]:
        """Exactly the arguments of these names; "[NAME]" may be missing.

        Raises gdb.GdbError that says how the command is called.
        """
        least = sum(not name.startswith("[") for name in names)
        if not least <= len(arguments) <= len(names):
            usage = " ".join(("lab", self.name, *names))
            raise gdb.GdbError(f"Usage: {usage} [--json]; see `help lab {self.name}`.")
        return arguments + [""] * (len(names) - len(arguments))


def show_frame() -> None:
    """Say where the guest stands, as gdb does at a stop.

    gdb would print it past the TUI, were it not asked for the text.
    """
    said = gdb.execute("frame", to_string=True) or ""
    terminal.write(said.expandtabs())


def number(argument: str, what: str) -> int:
    """An argument that is any expression of gdb's, as an unsigned number.

    Raises gdb.GdbError.
    """
    try:
        value = gdb.parse_and_eval(argument)
        return int(value.cast(gdb.lookup_type("unsigned long")))
    except (gdb.error, ValueError) as error:
        raise gdb.GdbError(f"{argument} is no {what}: {error}") from None


def task_of(argument: str) -> int:
    """The struct task_struct * meant by a PID argument, current if it is empty.

    Raises gdb.GdbError if there is no such task.
    """
    if not argument:
        return task.get_current()
    pid = number(argument, "PID")
    found = task.find_task_by_pid(pid)
    if found is None:
        raise gdb.GdbError(
            f"There is no task {pid}; `lab threads` lists all there are."
        )
    return found


def mm_of(argument: str) -> tuple[int, int]:
    """The task meant by a PID argument and its struct mm_struct *.

    If it has ended and its process goes on, another thread of it: the memory is
    the same. Raises gdb.GdbError if there is no such task or it has no memory.
    """
    address = task_of(argument)
    owner = task.with_memory(address)
    if owner is None:
        read, why = task.task(address), task.why_no_memory(address)
        raise gdb.GdbError(
            f"Task {read.pid} ({read.comm}) {why}: it has no address space of its own."
        )
    return owner.address, owner.mm


def user_address(argument: str) -> int:
    """An argument that is an address in the user's half.

    Raises gdb.GdbError for one that is not canonical, or the kernel's.
    """
    address = canonical(number(argument, "address"), kernel.memory().levels)
    if address >= 1 << 63:
        raise gdb.GdbError(
            f"{address:#x} is in the kernel's half, where there are no areas; "
            "`lab kernel` shows what is there, `lab walk` how it is mapped."
        )
    return address


def page_tables(address: int, pid: str) -> tuple[int, str]:
    """Which page tables translate an address: their top, and whose they are.

    A kernel address has one meaning for all. Raises gdb.GdbError for a user
    address where the task has no address space.
    """
    guest = kernel.memory()
    canonical(address, guest.levels)
    if address >= pgtable.USER_HALF:
        return guest.kernel_pgd, "the kernel's memory"
    owner, mm = mm_of(pid)
    one = task.task(owner)
    return mm_.pgd_of(mm), f"the memory of {one.pid} ({one.comm})"
