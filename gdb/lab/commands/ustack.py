# SPDX-License-Identifier: GPL-2.0-only
"""lab ustack: the user backtrace of a task."""

from __future__ import annotations

from ..reports import ustack as report
from ..result import Report
from .arguments import task_of
from .base import LabCommand


class Ustack(LabCommand):
    """The user backtrace of a task: lab ustack [PID] [FILE] [--json]

    From the registers that `lab regs` shows, up to where the thread began. The
    callers are found with the call frame information of the program's ELF file:
    build/user/NAME, PROGRAM, one in build/share, a file of the same path below
    /usr, /bin, /sbin or /lib of this machine, each only if its build id (without
    one, its program headers and code) is that in the process's memory; else the
    guest's own copy in its page cache. FILE names another one, for example the
    same program with its symbols.

    kind is "here", "call" for a return address, "interrupted" for where a signal
    arrived. place is the file and the offset in it. Without an ELF file a frame may
    still be found by rbp, which is a guess.

    Examples: the current task, and a program that was stripped for the guest.
        (gdb) lab ustack
        (gdb) lab ustack 61 build/user/demo
    """

    name = "ustack"

    def run(self, arguments: list[str]) -> Report:
        pid, given = self.take(arguments, "[PID]", "[FILE]")
        address = task_of(pid)
        return report.describe(address, given)
