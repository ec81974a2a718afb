# SPDX-License-Identifier: GPL-2.0-only
"""The call on a kernel with its own checkers: KASAN, UBSAN, lockdep and others report nothing.

They run on the selected kernel built with JUDGES=1. The first test builds it if needed,
which takes three times as long as the kernel itself.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Callable, Iterator

import pytest

from support import guest_modules, labs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * 3600)]

MEM = "512M"  # KASAN's shadow and lockdep's tables need room
SECONDS = 60
SEED = 20261125

# How a report begins, after the time; output of a program may precede it on the line
REPORT = re.compile(
    r"\[ *\d+\.\d+\] (?:BUG\b|WARNING:|UBSAN:|INFO: (?!rcu)|kernel BUG|Oops|Call Trace|"
    r"general protection|list_\w+ corruption|pagealloc:|Kernel panic|=+$).*",
    re.M,
)

# The report of each crime of tests/guest/modules/wrong.c, as a regular expression. lockdep's
# comes first, since any other report turns lockdep off.
CRIMES = {
    "order": "possible circular locking dependency",
    "shift": "UBSAN: shift-out-of-bounds",
    "sleep": "BUG: sleeping function called from invalid context",
    "list": "list_del corruption",
    "freed": r"BUG: KASAN: (slab-)?use-after-free",  # slab- since 6.3
}


def reports(console: str) -> list[str]:
    """Return the first line of each report."""
    return REPORT.findall(console)


@pytest.fixture(scope="module", autouse=True)
def judges() -> Iterator[None]:
    """Select the kernel with judges for all that this module starts."""
    os.environ["JUDGES"] = "1"
    built = labs.run("scripts/build-kernel.sh", limit=3 * 3600)
    assert built.returncode == 0, built.stderr
    yield
    del os.environ["JUDGES"]


def guest(port: int, program: Path, arguments: str = "") -> str:
    """Run a program, wait until the kernel has shut down, and return the console."""
    settings = {"PORT": port, "PROGRAM": program, "ARGS": arguments, "MEM": MEM}
    done = labs.run("scripts/boot.sh", limit=1800, **settings)
    output = done.stdout.replace("\r", "")
    assert "reboot: Restarting system" in output, output + done.stderr
    return output


def test_every_judge_speaks(port: int, tmp_path: Path) -> None:
    """Each crime is reported on the console, so silence means that nothing is wrong."""
    wrong = guest_modules.build("wrong", tmp_path)
    program = guest_modules.carrier("wrongs.c", tmp_path, wrong)
    output = guest(port, program, ",".join(f"crime={crime}" for crime in CRIMES))
    found = reports(output)
    for crime, words in CRIMES.items():
        assert re.search(words, output), (crime, output)
    assert len(found) >= len(CRIMES), found


def test_selftest_and_storm(port: int, tmp_path: Path) -> None:
    output = guest(port, labs.script(tmp_path / "both", "selftest && storm 2 2 1000"))
    assert reports(output) == []
    assert "storm: 2000 calls, 2000 ok" in output, output
    assert "lab: /lab/program exited with 0" in output, output


def test_anything_thrown_and_everything_failing(
    port: int, program: Callable[[str], Path]
) -> None:
    """Random pointers for a minute; then each allocation, page fault and copy fails once."""
    output = guest(port, program("judged.c"), f"{SECONDS},{SEED}")
    print(*re.findall(r"^judged: .*", output, re.M), sep="\n")  # the counts
    assert reports(output) == []
    assert "lab: /lab/program exited with 0" in output, output
    thrown = re.search(r"thrown: (\d+) calls, (\d+) ok, (\d+) EFAULT", output)
    assert thrown and int(thrown[1]) == int(thrown[2]) + int(thrown[3]) > 1000
    failed = re.findall(
        r"up to (\d+) failures a call, (\d+) ENOMEM, (\d+) EFAULT", output
    )
    assert len(failed) == 2
    for could, *counts in failed:
        assert int(could) >= 3 and all(int(count) for count in counts)
    # A longer path needs more, and larger, allocations
    assert int(failed[1][0]) > int(failed[0][0])
    assert "judged: no memory was lost" in output


def test_killed_while_it_waits(
    port: int, program: Callable[[str], Path], tmp_path: Path
) -> None:
    """The call returns EINTR, which only a debugger sees, and the lab explains it."""
    file = tmp_path / "result.json"
    settings = {"PROGRAM": program("interrupted.c"), "MEM": MEM, "LIMIT": 1500}
    done = labs.verify(port, JSON=file, limit=1800, **settings)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    results = [hit["result"] for hit in json.loads(file.read_text())["hits"]]
    print(f"{len(results)} hits, {results.count(-4)} EINTR")
    assert -4 in results
    assert reports(labs.console_log(port)) == []
