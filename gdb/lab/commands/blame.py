# SPDX-License-Identifier: GPL-2.0-only
"""lab blame: who wrote this byte?"""

from __future__ import annotations

import gdb

from ..linux.processors import this_processor
from ..linux.task import get_current, task
from ..replay.blame import blame
from ..replay.session import needed
from ..result import Result, Table, columns
from ..target import kernel
from .base import LabCommand, canonical, number

COLUMNS = columns(
    instruction="number",
    pid="number",
    comm="text",
    before="address",
    after="address",
    mode="text",
    stops="number",
)


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

    def run(self, arguments: list[str]) -> Result:
        [wanted] = self.take(arguments, "ADDR")
        address = canonical(number(wanted, "address"), kernel.memory().levels)
        found = blame(address)
        if found is None:
            return Result(
                [
                    f"No instruction of the recording changed the byte at {address:#x} "
                    "through this address."
                ]
            )
        current = task(get_current())
        mode = "user" if this_processor().in_user_mode else "kernel"
        table = Table(f"The byte at {address:#x}", COLUMNS)
        table.rows.append(
            (
                found.count,
                current.pid,
                current.comm,
                found.before,
                found.after,
                mode,
                found.stops,
            )
        )
        code = gdb.execute("x/i $pc", to_string=True)
        parts: list = [table, " ".join(code.split())]
        if found.after != found.now:
            parts.append(
                f"The search began where it was {found.now:#x}: what made it so wrote "
                "through another mapping, which is not seen."
            )
        return Result(parts)
