# SPDX-License-Identifier: GPL-2.0-only
"""Two other readers of kernel memory, crash and drgn, on a dump of the lab."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab
from truth import Moment

IN_DRGN = lab.ROOT / "tests" / "in_drgn"
MARK = "=====oracle====="


def crash(vmlinux: Path, dump: Path, commands: list[str]) -> dict[str, list[str]]:
    """Run commands in one crash; the lines that each printed."""
    typed = "".join(f"{one}\necho {MARK}\n" for one in commands)
    done = subprocess.run(
        ["crash", "-s", "--no_scroll", vmlinux, dump],
        input=f"echo {MARK}\n{typed}quit\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        timeout=lab.LIMIT,
    )
    parts = done.stdout.split(MARK + "\n")
    assert len(parts) == len(commands) + 2, done.stdout
    return dict(zip(commands, (part.splitlines() for part in parts[1:-1])))


@functools.cache
def crash_version() -> tuple[int, ...]:
    """The version of the crash that is installed."""
    said = lab.run("crash", "--version").stdout
    found = re.search(r"^crash (\d+)\.(\d+)\.(\d+)", said, re.M)
    assert found, said
    return tuple(map(int, found.groups()))


def crash_reads(moment: Moment) -> bool:
    """Can it read this kernel? Maple trees it knows since 8.0.3."""
    has_maple_trees = "mm_mt" in moment.gdb("ptype struct mm_struct")
    return not has_maple_trees or crash_version() >= (8, 0, 3)


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
    """Decode crash's ps. A line break in a name makes a line that is left out."""
    pattern = re.compile(
        r">?\s*(\d+)\s+(-?\d+)\s+(\d+)\s+([0-9a-f]{16})\s+(\w\w)\s+\S+\s+\d+\s+\d+  (.*)"
    )
    found = (pattern.fullmatch(line) for line in lines)
    return [
        CrashTask(
            int(one[1]), int(one[2]), int(one[3]), int(one[4], 16), one[5], one[6]
        )
        for one in found
        if one
    ]


def drgn(vmlinux: Path, dump: Path, script: str, *arguments: object) -> Any:
    """Run tests/in_drgn/SCRIPT on a dump; the JSON it printed."""
    words = [str(word) for word in arguments]
    command = ["/usr/bin/drgn", "-q", "-c", dump, "-s", vmlinux, IN_DRGN / script]
    done = subprocess.run(
        [*map(str, command), *words], capture_output=True, text=True, timeout=lab.LIMIT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
