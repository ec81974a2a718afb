# SPDX-License-Identifier: GPL-2.0-only
"""A storm of kills: labs are killed at random moments, and the next one always works.

Each round starts a lab, sends a signal to one of its processes at some moment, and checks
that all others end within two seconds. The next lab with the same number must work, and
nothing may be left of either.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from support import lab_processes, labs
from support.lab_processes import left

pytestmark = [pytest.mark.once, pytest.mark.slow]

ROUNDS = 60
SEED = 8
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
VICTIMS = ["make", "script", "gdb", "qemu"]
COMMANDS = "source gdb/seginfo.py\nseginfo run\ncontinue\n"


def kill(
    started: lab_processes.Started, victim: str, how: signal.Signals
) -> int | None:
    """Send a signal to the process with this role, if there is one, and return its id.

    make leaves Ctrl-C and SIGHUP to its children, which get them as well.
    """
    pid = started.find(victim)
    if pid is None:
        return None
    try:
        if victim == "make" and how in (signal.SIGINT, signal.SIGHUP):
            os.killpg(pid, how)
        else:
            os.kill(pid, how)
    except ProcessLookupError:
        return None
    return pid


def test_a_storm_of_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(SEED)
    port = labs.free_port()
    folder = tmp_path / "folder"
    folder.mkdir()
    sleeps = labs.script(tmp_path / "sleeps", "demo", "sleep 1000")
    counts: Counter[str] = Counter()
    slowest = 0.0
    for number in range(ROUNDS):
        target = chance.choice(["verify", "debug", "boot", "record"])
        victims = VICTIMS if target != "boot" else ["make", "script", "qemu"]
        victim, how = chance.choice(victims), chance.choice(SIGNALS)
        moment = chance.uniform(0, 4)
        what = (
            f"round {number}: {how.name} to {victim} of make {target}, {moment:.1f} s"
        )
        settings = {"TMPDIR": folder, "RECORDING": folder / "recording"}
        settings |= {"PROGRAM": sleeps} if target != "record" else {}
        started = lab_processes.Started(target, port, COMMANDS, **settings)
        try:
            time.sleep(moment)
            # Not started yet, or gone: then as soon as it starts, or not at all
            labs.wait_until(
                lambda: started.find(victim) or not started.processes(), limit=20
            )
            pid = kill(started, victim, how)
            if pid is None:
                counts["ended before"] += 1
            elif labs.wait_until(
                lambda: lab_processes.is_dead(pid), lab_processes.SECONDS
            ):
                # gdb reads its commands to the end, even without QEMU
                limit = 60 if victim == "qemu" else lab_processes.SECONDS
                after = lab_processes.gone_after(started.mark, limit)
                assert after is not None, f"{what}: {started.processes()}"
                slowest = max(slowest, after if victim != "qemu" else 0)
                counts[f"{how.name} to {victim}"] += 1
            else:  # gdb at its prompt treats Ctrl-C as usual
                counts[f"{how.name} survived by {victim}"] += 1
        finally:
            started.end()
        ended = labs.run("scripts/verify.sh", PORT=port, TMPDIR=folder)
        assert ended.returncode == 0, f"{what}: {ended.stderr}"
        for path in folder.glob("recording"):  # a recording that was complete
            assert (path / "manifest.json").exists(), what
        rest = [path for path in left(port, folder) if path.name != "recording"]
        assert rest == [], f"{what}: {rest}"
    with capsys.disabled():
        print(f"\n{ROUNDS} rounds, seed {SEED}: all gone within {slowest:.2f} s")
        for what, times in sorted(counts.items()):
            print(f"  {times:3} {what}")
    dead = sum(times for what, times in counts.items() if " to " in what)
    assert dead > ROUNDS / 2
