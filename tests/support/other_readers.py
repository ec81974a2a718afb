# SPDX-License-Identifier: GPL-2.0-only
"""Two other readers of kernel memory, crash and drgn, on a dump of the lab."""

from __future__ import annotations

import functools
import json
import re
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import labs
from support.witnessed import Moment

IN_DRGN = labs.ROOT / "tests" / "debugger" / "in_drgn"
MARK = "=====oracle====="


def crash(vmlinux: Path, dump: Path, commands: list[str]) -> dict[str, list[str]]:
    """Run commands in one crash, and return the lines that each printed."""
    return dict(zip(commands, crash_in_order(vmlinux, dump, commands)))


def crash_in_order(vmlinux: Path, dump: Path, commands: list[str]) -> list[list[str]]:
    """Do the same for a list of commands that may repeat."""
    typed = "".join(f"{command}\necho {MARK}\n" for command in commands)
    done = subprocess.run(
        ["crash", "-s", "--no_scroll", vmlinux, dump],
        input=f"echo {MARK}\n{typed}quit\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        timeout=labs.LIMIT,
    )
    parts = done.stdout.split(MARK + "\n")
    assert len(parts) == len(commands) + 2, done.stdout
    return [part.splitlines() for part in parts[1:-1]]


def crash_times(
    vmlinux: Path, dump: Path, commands: list[str], repeats: int
) -> tuple[float, dict[str, float]]:
    """Measure the seconds that crash takes to start, and the median for each command.

    The clock is date(1), which crash runs in a shell before and after each command.
    """
    clock = "!date +%s%N"
    typed = [
        word for command in commands for word in [clock, *[command, clock] * repeats]
    ]
    started = time.time()
    replies = crash_in_order(vmlinux, dump, typed)
    clocks = [int(lines[0]) / 1e9 for lines in replies if clock_was_asked(lines)]
    size = repeats + 1
    took = {}
    for number, command in enumerate(commands):
        own = clocks[number * size : (number + 1) * size]
        took[command] = statistics.median(b - a for a, b in zip(own, own[1:]))
    return clocks[0] - started, took


def clock_was_asked(lines: list[str]) -> bool:
    return len(lines) == 1 and re.fullmatch(r"\d{19}", lines[0]) is not None


@functools.cache
def crash_version() -> tuple[int, ...]:
    """Return the version of the installed crash."""
    version = labs.run("crash", "--version").stdout
    found = re.search(r"^crash (\d+)\.(\d+)\.(\d+)", version, re.M)
    assert found, version
    return tuple(map(int, found.groups()))


# Changes in the kernel that crash must know: the change, how gdb shows whether the kernel
# has it, and the first crash that knows it
CRASH_KNOWS = (
    # crash's commit 222176a
    ("the maple tree", "ptype struct mm_struct", "mm_mt", (8, 0, 3)),
    # v6.5, b69f0aeb0689, and in 6.1.y: a crash that does not know it finds hardly a task
    ("struct pid without an array", "ptype struct pid", "numbers[]", (8, 0, 4)),
)


def crash_fails(moment: Moment) -> str:
    """Tell why the installed crash cannot read this kernel, "" if it can."""
    version = crash_version()
    unknown = [
        what
        for what, command, sign, since in CRASH_KNOWS
        if sign in moment.gdb(command) and version < since
    ]
    name = ".".join(map(str, version))
    return f"crash {name} does not know {' and '.join(unknown)}" if unknown else ""


@dataclass
class CrashTask:
    """A line of crash's ps."""

    pid: int
    ppid: int
    cpu: int
    task: int
    state: str
    comm: str


def crash_ps(lines: list[str]) -> list[CrashTask]:
    """Decode crash's ps. The rest of a name with a line break is left out."""
    pattern = re.compile(
        r">?\s*(\d+)\s+(-?\d+)\s+(\d+)\s+([0-9a-f]{16})\s+(\w\w)\s+\S+\s+\d+\s+\d+  (.*)"
    )
    found = (pattern.fullmatch(line) for line in lines)
    return [
        CrashTask(
            int(row[1]), int(row[2]), int(row[3]), int(row[4], 16), row[5], row[6]
        )
        for row in found
        if row
    ]


def drgn(vmlinux: Path, dump: Path, script: str, *arguments: object) -> Any:
    """Run tests/debugger/in_drgn/SCRIPT on a dump, and return the JSON it printed."""
    words = [str(word) for word in arguments]
    command = ["/usr/bin/drgn", "-q", "-c", dump, "-s", vmlinux, IN_DRGN / script]
    done = subprocess.run(
        [*map(str, command), *words], capture_output=True, text=True, timeout=labs.LIMIT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
