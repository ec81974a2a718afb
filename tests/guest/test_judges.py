# SPDX-License-Identifier: GPL-2.0-only
"""The call before the kernel's own judges: KASAN, UBSAN, lockdep and others see nothing wrong.

On the selected kernel built with JUDGES=1, which the first test does where it is not
there yet: that takes three times as long as the kernel itself.
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

MEM = "512M"  # the shadow of KASAN and what lockdep keeps need room
SECONDS = 60
SEED = 20261125

# How a report begins, behind the time; lines of a program may stand before it
REPORT = re.compile(
    r"\[ *\d+\.\d+\] (?:BUG\b|WARNING:|UBSAN:|INFO: (?!rcu)|kernel BUG|Oops|Call Trace|"
    r"general protection|list_\w+ corruption|pagealloc:|Kernel panic|=+$).*",
    re.M,
)

# What each crime of tests/guest/modules/wrong.c is called, a regular expression. lockdep goes first: any other report ends it.
CRIMES = {
    "order": "possible circular locking dependency",
    "shift": "UBSAN: shift-out-of-bounds",
    "sleep": "BUG: sleeping function called from invalid context",
    "list": "list_del corruption",
    "freed": r"BUG: KASAN: (slab-)?use-after-free",  # slab- since 6.3
}


def reports(console: str) -> list[str]:
    """The first lines of all that a judge has said."""
    return REPORT.findall(console)


@pytest.fixture(scope="module", autouse=True)
def judges() -> Iterator[None]:
    """The selected kernel is the one with judges, for all that is started here."""
    os.environ["JUDGES"] = "1"
    built = labs.run("scripts/build-kernel.sh", limit=3 * 3600)
    assert built.returncode == 0, built.stderr
    yield
    del os.environ["JUDGES"]


def guest(port: int, program: Path, arguments: str = "") -> str:
    """What is on the console when a program has run, and the kernel shut down by itself."""
    settings = {"PORT": port, "PROGRAM": program, "ARGS": arguments, "MEM": MEM}
    done = labs.run("scripts/boot.sh", limit=1800, **settings)
    said = done.stdout.replace("\r", "")
    assert "reboot: Restarting system" in said, said + done.stderr
    return said


def test_every_judge_speaks(port: int, tmp_path: Path) -> None:
    """Each crime is found on the console: so silence means something."""
    wrong = guest_modules.build("wrong", tmp_path)
    program = guest_modules.carrier("wrongs.c", tmp_path, wrong)
    said = guest(port, program, ",".join(f"crime={crime}" for crime in CRIMES))
    found = reports(said)
    for crime, words in CRIMES.items():
        assert re.search(words, said), (crime, said)
    assert len(found) >= len(CRIMES), found


def test_selftest_and_storm(port: int, tmp_path: Path) -> None:
    said = guest(port, labs.script(tmp_path / "both", "selftest && storm 2 2 1000"))
    assert reports(said) == []
    assert "storm: 2000 calls, 2000 ok" in said, said
    assert "lab: /lab/program exited with 0" in said, said


def test_anything_thrown_and_everything_failing(
    port: int, program: Callable[[str], Path]
) -> None:
    """A minute of random pointers, then each allocation, page fault and copy fails once."""
    said = guest(port, program("judged.c"), f"{SECONDS},{SEED}")
    print(*re.findall(r"^judged: .*", said, re.M), sep="\n")  # the counts
    assert reports(said) == []
    assert "lab: /lab/program exited with 0" in said, said
    thrown = re.search(r"thrown: (\d+) calls, (\d+) ok, (\d+) EFAULT", said)
    assert thrown and int(thrown[1]) == int(thrown[2]) + int(thrown[3]) > 1000
    failed = re.findall(
        r"up to (\d+) failures a call, (\d+) ENOMEM, (\d+) EFAULT", said
    )
    assert len(failed) == 2
    for could, *counts in failed:
        assert int(could) >= 3 and all(int(count) for count in counts)
    # A longer path takes more, and larger, allocations
    assert int(failed[1][0]) > int(failed[0][0])
    assert "judged: no memory was lost" in said


def test_killed_while_it_waits(
    port: int, program: Callable[[str], Path], tmp_path: Path
) -> None:
    """EINTR, which only a debugger lives to see; and what the lab says of it."""
    file = tmp_path / "result.json"
    settings = {"PROGRAM": program("interrupted.c"), "MEM": MEM, "LIMIT": 1500}
    done = labs.verify(port, JSON=file, limit=1800, **settings)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    results = [hit["result"] for hit in json.loads(file.read_text())["hits"]]
    print(f"{len(results)} hits, {results.count(-4)} EINTR")
    assert -4 in results
    assert reports(labs.console_log(port)) == []
