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
    stops in front of it: stepi executes it. ADDR is any expression; a user address is one
    of the current process. stops is how often QEMU stopped on the way. Writes through
    another mapping of the page, such as the kernel's when it clears it, are not seen.

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
