# SPDX-License-Identifier: GPL-2.0-only
"""All that a lab starts ends with it, whoever is killed, and what is left goes with
the next start of any lab."""

from __future__ import annotations

import os
import signal
import termios
from pathlib import Path
from tempfile import TemporaryDirectory

import killing
import lab
import pytest

pytestmark = pytest.mark.once

SLEEPS = ("echo here", "sleep 1000")
TERM, KILL = signal.SIGTERM, signal.SIGKILL


def left(port: int, folder: Path) -> list[Path]:
    """What a lab has left on the disk: its memory and sockets, files for a while."""
    found = [lab.run_folder(port), lab.BUILD / "run" / str(port) / "replay.qcow2"]
    found += [lab.BUILD / "run" / str(port) / "memory"]
    return [path for path in found if path.exists()] + list(folder.iterdir())


def console(port: int) -> str:
    """What the guest said so far, if it is there."""
    try:
        return lab.console_log(port)
    except OSError:
        return ""


def sweep() -> None:
    """Start a lab, any."""
    ended = lab.run("scripts/boot.sh", PORT=lab.free_port(), PROGRAM=lab.USER / "demo")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("target", "victim", "how"),
    [
        ("verify", "make", KILL),
        ("verify", "make", TERM),
        ("verify", "script", KILL),
        ("verify", "timeout", KILL),
        ("debug", "make", TERM),
        ("debug", "script", KILL),
        ("boot", "script", KILL),
        ("record", "script", KILL),
        ("record", "make", TERM),
    ],
)
def test_all_ends_with_a_lab(
    port: int, tmp_path: Path, target: str, victim: str, how: signal.Signals
) -> None:
    """At a moment when all of it runs; of a recording, when it is indexed."""
    folder = tmp_path / "folder"
    folder.mkdir()
    program = tmp_path / "sleeps"
    settings = {"PROGRAM": lab.script(program, *SLEEPS), "TMPDIR": folder}
    if target == "record":
        lab.script(program, "demo >/dev/null")
        settings["RECORDING"] = folder / "recording"
    started = killing.Started(target, port, "continue\n", **settings)
    try:
        started.wait_for({"boot": "qemu"}.get(target, "gdb"))
        if target != "record":
            assert lab.wait_until(lambda: "here" in console(port)), started.said()
        pid = started.wait_for(victim)
        os.kill(pid, how)
        assert lab.wait_until(lambda: killing.is_dead(pid), killing.SECONDS)
        after = killing.gone_after(started.mark, killing.SECONDS)
        assert after is not None, started.processes()
    finally:
        started.end()
    if how == TERM:
        assert left(port, folder) == []
    sweep()
    assert left(port, folder) == []


@pytest.mark.parametrize("victim", ["make", "script", "foreground", "gdb"])
def test_all_ends_with_a_lab_at_a_terminal(port: int, victim: str) -> None:
    """And the terminal, which gdb has set for its prompt, is as it was."""
    mark = {killing.MARK: str(port)}
    whole = f"{killing.MARK}={port}".encode()
    with lab.session("make", "debug", PORT=port, **mark) as person:
        before = termios.tcgetattr(person.child.child_fd)
        person.prompt()
        assert lab.wait_until(
            lambda: termios.tcgetattr(person.child.child_fd) != before
        )
        found = killing.marked(whole)
        assert {"make", "script", "foreground", "gdb", "qemu"} <= set(found.values())
        [pid] = [pid for pid, role in found.items() if role == victim]
        os.kill(pid, KILL)
        assert lab.wait_until(lambda: killing.is_dead(pid), killing.SECONDS)
        assert killing.gone_after(whole, killing.SECONDS) is not None
        assert termios.tcgetattr(person.child.child_fd) == before
    sweep()


# Tells a script to end right after it has started its ${NUMBER}th child: nothing else is done in between.
AFTER_A_CHILD = """
trap '[[ $BASH_COMMAND != "CHILD=\\$!" ]] || ((--NUMBER)) || kill -INT "$$"' DEBUG
set -o functrace
. "$0"
"""


@pytest.mark.parametrize("script", ["boot", "debug", "verify", "record"])
def test_all_goes_whenever_it_is_told_to_end(port: int, script: str) -> None:
    """What a lab is to remove is removed also between the start of a child and what comes next."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        program = lab.script(folder / "program", "demo >/dev/null")
        settings = {"PROGRAM": program, "RECORDING": folder / "recording"}
        for number in range(1, 20):
            command = ["bash", "-c", AFTER_A_CHILD, f"scripts/{script}.sh"]
            ended = lab.run(*command, PORT=port, NUMBER=number, **settings)
            assert not lab.run_folder(port).exists(), (number, ended.stderr)
            if ended.returncode == 0:
                break
            assert ended.returncode == 130 and "error" not in ended.stderr, ended.stderr
            assert list(folder.iterdir()) == [program], number
        assert number > 1 and ended.returncode == 0


# A program that sets the terminal as long as it lives, also when it is not in its foreground
SETS_IT = """
import signal, tty
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
print("here", flush=True)
while True:
    tty.setcbreak(0)
"""


def test_the_terminal_is_set_back_last() -> None:
    """gdb sets it once more when the guest is gone: foreground.sh has to be the last."""
    foreground = 'exec scripts/foreground.sh "$@" 6>&2'
    command = ("bash", "-c", foreground, "bash", "/usr/bin/python3", "-c", SETS_IT)
    for _ in range(10):
        with lab.session(*command) as person:
            before = termios.tcgetattr(person.child.child_fd)
            person.wait("here")
            os.kill(person.child.pid, TERM)
            assert lab.wait_until(lambda: not person.child.isalive(), killing.SECONDS)
            assert termios.tcgetattr(person.child.child_fd) == before


def test_labs_that_start_at_once() -> None:
    """Each sweeps what it takes for left over: not what another is just making."""
    lines = ["start() { for i in {1..12}; do (PORT=$1; export PORT"]
    lines += [". scripts/guest.sh; make_run_folder) || echo failed; done; }"]
    lines += [f"start {lab.free_port()} &" for _ in range(6)]
    started = lab.run("bash", "-c", "\n".join([*lines, "wait"]))
    assert started.stdout + started.stderr == "", started
