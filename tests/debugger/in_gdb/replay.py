# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: what the other replay scripts share, such as the position in the replay.

Sourced in the gdb of a replay after gdb/seginfo.py. Each script reads $LAB_GIVEN and
writes $LAB_RESULT.
"""

import json
import os
import re
import sys
from typing import Any

import gdb

sys.path.insert(0, "tests")
from lab.commands.seginfo import check
from lab.replay import session
from support.reports import parts  # noqa: E402

GIVEN = json.loads(os.environ.get("LAB_GIVEN", "null"))
REGISTERS = "rax rbx rcx rdx rsi rdi rbp rsp rip r8 r9 r10 r11 r12 r13 r14 r15".split()


def place() -> int:
    """Return the instructions since the start, from QEMU's monitor."""
    output = gdb.execute("monitor info replay", to_string=True)
    return int(re.search(r"instruction count = (\d+)", output)[1])


def registers() -> list[int]:
    """Return the registers from gdb."""
    return [int(gdb.parse_and_eval(f"${name}")) % (1 << 64) for name in REGISTERS]


def real_registers() -> dict[str, int]:
    """Return the registers from QEMU's monitor, bypassing gdb's caches.

    Before the kernel is in 64-bit mode these are only the older ones, such as EAX."""
    output = gdb.execute("monitor info registers", to_string=True)
    found = re.findall(r"\b([RE]\w{1,2}) ?=([0-9a-f]{8,16})\b", output)
    return {name.lower().replace("e", "r", 1): int(value, 16) for name, value in found}


def state() -> list[Any]:
    """Return where the target is; gdb and QEMU must agree."""
    mine, real = registers(), real_registers()
    named = dict(zip(REGISTERS, mine))
    stale = [name for name in real if name in named and named[name] != real[name]]
    assert "rip" in real and not stale, f"gdb has stale values of {stale}"
    return [place(), mine]


def json_of(command: str) -> Any:
    return parts(gdb.execute(f"{command} --json", to_string=True))


def moments() -> list[dict[str, Any]]:
    """Return the rows of lab timeline."""
    [table] = json_of("lab timeline")
    return table["rows"]


def number_of(kind: str) -> int:
    """Return the number of the moment of this kind, such as "hit 2"."""
    return next(row["moment"] for row in moments() if row["kind"] == kind)


def run(command: str) -> str:
    """Run a command, and return its output or its error."""
    try:
        return gdb.execute(command, to_string=True) or ""
    except gdb.error as error:
        return f"error: {error}"


def hit(checked: Any) -> list[Any]:
    """Return everything about a hit but the time it took."""
    data = [
        part and part.hex()
        for part in (checked.walk.data, checked.buffer, checked.delivered)
    ]
    failed = [str(mismatch) for mismatch in checked.mismatches]
    return [
        checked.number,
        checked.task.pid,
        checked.mm,
        checked.info,
        checked.result,
        checked.checks,
        failed,
    ] + data


def all_hits() -> list[list[Any]]:
    return [hit(checked) for checked in check.hits]


def done(result: Any) -> None:
    with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
        json.dump(result, out)


__all__ = [name for name in dir() if not name.startswith("_")]
assert session.active()
