# SPDX-License-Identifier: GPL-2.0-only
"""lab dump: a core file of the guest."""

from __future__ import annotations

import os
import sys
import time

import gdb

from ..dump import vmcore
from ..reports import dump as report
from ..result import Report
from ..target import terminal
from ..target.debugger import Refused
from ..target.memory import Broken
from .base import LabCommand


class Dump(LabCommand):
    """A core file that crash and drgn open: lab dump FILE [--json]

    Writes the guest's memory and the registers of its CPUs to FILE, in the format of
    a crash dump. Zero pages are holes, so the file takes less room on the disk than its
    length says. FILE appears, or replaces an older one, only when it is complete.

    Example:
        (gdb) lab dump /tmp/guest.core
        (gdb) shell crash build/kernels/5.10.223/obj/vmlinux /tmp/guest.core
    """

    name = "dump"

    def run(self, arguments: list[str]) -> Report:
        (argument,) = self.take(arguments, "FILE")
        path = os.path.realpath(os.path.expanduser(argument))
        if os.path.isdir(path):
            raise Refused(f"{path} is a folder: give the name of a file in it.")
        if os.path.exists(path) and not os.path.isfile(path):
            raise Refused(
                f"{path} is a device or a pipe, which a core cannot replace: give the "
                "name of a file."
            )
        progress = Progress()
        try:
            core = vmcore.write(path, progress)
        except OSError as error:
            raise Refused(f"Cannot write {path}: {error.strerror}.") from None
        except Broken as broken:
            raise Refused(f"Cannot find the guest's RAM: {broken}.") from None
        finally:
            progress.end()
        return report.describe(core)


class Progress:
    """A progress line on a terminal, once a dump takes longer than PERIOD."""

    PERIOD = 0.5  # seconds

    def __init__(self) -> None:
        self.on = sys.__stdout__ is not None and os.isatty(1)
        self.next = time.monotonic() + self.PERIOD
        self.shown = False

    def __call__(self, done: int, total: int) -> None:
        if self.on and time.monotonic() > self.next:
            terminal.write_progress(f"{done >> 20} of {total >> 20} MiB")
            gdb.flush()
            self.next = time.monotonic() + self.PERIOD
            self.shown = True

    def end(self) -> None:
        """Clear the line."""
        if self.shown:
            terminal.write_progress("")
