# SPDX-License-Identifier: GPL-2.0-only
"""lab blame: who wrote this byte?"""

from __future__ import annotations

from ..replay.session import needed
from ..reports import blame as report
from ..reports.addresses import canonical
from ..result import Report
from ..target import kernel
from .arguments import number
from .base import LabCommand


class Blame(LabCommand):
    """Which instruction changed a byte last? lab blame ADDR [--json]

    Goes back in the replay to the instruction that gave the byte at ADDR its value, and
    stops in front of it: stepi executes it. ADDR is any expression; one in the user's half
    is the current process's. stops: how often QEMU stopped on the way. What was written
    through another mapping of the page, such as by the kernel clearing it, is not seen.

    Example: who wrote the first byte of the buffer that the last hit is about?
        (gdb) lab blame 0x4fd340
        (gdb) backtrace
    """

    name = "blame"

    def do(self, argument: str) -> None:
        needed()
        super().do(argument)

    def run(self, arguments: list[str]) -> Report:
        [wanted] = self.take(arguments, "ADDR")
        address = canonical(number(wanted, "address"), kernel.memory().levels)
        return report.describe(address)
