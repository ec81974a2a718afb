# SPDX-License-Identifier: GPL-2.0-only
"""All processes of a lab end with it, whichever is killed, and the next start of any lab
removes the files that are left."""

from __future__ import annotations

import os
import shlex
import signal
import termios
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support import lab_processes, labs

pytestmark = pytest.mark.once

SLEEPS = ("echo here", "sleep 1000")
TERM, KILL = signal.SIGTERM, signal.SIGKILL


def console(port: int) -> str:
    """Return the guest's output so far, if there is any."""
    try:
        return labs.console_log(port)
    except OSError:
        return ""


def sweep() -> None:
    """Start a lab, which sweeps."""
    ended = labs.run(
        "scripts/boot.sh", PORT=labs.free_port(), PROGRAM=labs.USER / "demo"
    )
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
    """Killed while all its processes run; a recording, while it is indexed."""
    folder = tmp_path / "folder"
    folder.mkdir()
    program = tmp_path / "sleeps"
    settings = {"PROGRAM": labs.script(program, *SLEEPS), "TMPDIR": folder}
    if target == "record":
        labs.script(program, "demo >/dev/null")
        settings["RECORDING"] = folder / "recording"
    started = lab_processes.Started(target, port, "continue\n", **settings)
    try:
        started.wait_for({"boot": "qemu"}.get(target, "gdb"))
        if target != "record":
            assert labs.wait_until(lambda: "here" in console(port)), started.printed()
        pid = started.wait_for(victim)
        os.kill(pid, how)
        assert labs.wait_until(
            lambda: lab_processes.is_dead(pid), lab_processes.SECONDS
        )
        after = lab_processes.gone_after(started.mark, lab_processes.SECONDS)
        assert after is not None, started.processes()
    finally:
        started.end()
    if how == TERM:
        assert lab_processes.left(port, folder) == []
    sweep()
    assert lab_processes.left(port, folder) == []


@pytest.mark.parametrize("victim", ["make", "script", "foreground", "gdb"])
def test_all_ends_with_a_lab_at_a_terminal(port: int, victim: str) -> None:
    """The terminal, which gdb has set for its prompt, is restored too."""
    mark = {lab_processes.MARK: str(port)}
    whole = f"{lab_processes.MARK}={port}".encode()
    with labs.session("make", "debug", PORT=port, **mark) as person:
        before = termios.tcgetattr(person.child.child_fd)
        person.prompt()
        assert labs.wait_until(
            lambda: termios.tcgetattr(person.child.child_fd) != before
        )
        found = lab_processes.marked(whole)
        assert {"make", "script", "foreground", "gdb", "qemu"} <= set(found.values())
        [pid] = [pid for pid, role in found.items() if role == victim]
        os.kill(pid, KILL)
        assert labs.wait_until(
            lambda: lab_processes.is_dead(pid), lab_processes.SECONDS
        )
        assert lab_processes.gone_after(whole, lab_processes.SECONDS) is not None
        assert termios.tcgetattr(person.child.child_fd) == before
    sweep()


@pytest.mark.parametrize("target", ["boot", "verify", "record"])
def test_all_ends_with_the_terminal_that_make_leads(
    port: int, tmp_path: Path, target: str
) -> None:
    """As with ssh -t, or a window that runs make: only make is told, and it waits."""
    program = labs.script(tmp_path / "sleeps", *SLEEPS)
    settings = {"PROGRAM": program, "RECORDING": tmp_path / "recording"}
    make = ("make", "--old-file=kernel", "--old-file=image", target)
    with labs.session(*make, PORT=port, **settings) as person:
        assert labs.wait_until(lambda: labs.guests(port))
        person.hang_up()
        assert labs.wait_until(lambda: not labs.guests(port))
        assert labs.wait_until(lambda: not labs.run_folder(port).exists())
        assert labs.wait_until(lambda: not person.child.isalive())


ASKS = "trap 'exit 129' HUP; . scripts/guest.sh; leads_session && echo yes || echo no"


@pytest.mark.parametrize(
    ("script", "leads"),
    [
        (ASKS, "yes"),
        (f"trap '' HUP; bash -c {shlex.quote(ASKS)}", "no"),  # as nohup does
        (f"set -m; bash -c {shlex.quote(ASKS)}", "no"),  # as a shell at a prompt does
        (f"setsid bash -c {shlex.quote(ASKS)}", "no"),
    ],
)
def test_who_minds_the_terminal(script: str, leads: str) -> None:
    """What nohup or disown keep must not be ended; what a shell started, it tells."""
    with labs.session("bash", "-c", f"{script}; exit") as person:
        output, status = person.end()
    assert (output.split(), status) == ([leads], 0)


# Makes a script end right after it has started its ${NUMBER}th child: nothing else is done in between.
AFTER_A_CHILD = """
trap '[[ $BASH_COMMAND != "CHILD=\\$!" ]] || ((--NUMBER)) || kill -INT "$$"' DEBUG
set -o functrace
. "$0"
"""


@pytest.mark.parametrize(
    "script",
    ["boot", "debug", "verify", pytest.param("record", marks=pytest.mark.slow)],
)
def test_all_goes_whenever_it_is_told_to_end(port: int, script: str) -> None:
    """Files are removed even if the script ends between starting a child and the next step."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        hits = "demo >/dev/null" if script == "verify" else "true"
        program = labs.script(folder / "program", hits)
        settings = {"PROGRAM": program, "RECORDING": folder / "recording"}
        for number in range(1, 20):
            command = ["bash", "-c", AFTER_A_CHILD, f"scripts/{script}.sh"]
            ended = labs.run(*command, PORT=port, NUMBER=number, **settings)
            assert not labs.run_folder(port).exists(), (number, ended.stderr)
            if ended.returncode == 0:
                break
            assert ended.returncode == 130 and "error" not in ended.stderr, ended.stderr
            assert list(folder.iterdir()) == [program], number
        assert number > 1 and ended.returncode == 0


# A program that keeps setting the terminal as long as it lives, even in the background
SETS_IT = """
import signal, tty
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
print("here", flush=True)
while True:
    tty.setcbreak(0)
"""


def test_the_terminal_is_set_back_last() -> None:
    """gdb sets it again when the guest is gone, so foreground.sh must restore it last."""
    foreground = 'exec scripts/foreground.sh "$@"'
    command = ("bash", "-c", foreground, "bash", "/usr/bin/python3", "-c", SETS_IT)
    for _ in range(10):
        with labs.session(*command) as person:
            before = termios.tcgetattr(person.child.child_fd)
            person.wait("here")
            os.kill(person.child.pid, TERM)
            assert labs.wait_until(
                lambda: not person.child.isalive(), lab_processes.SECONDS
            )
            assert termios.tcgetattr(person.child.child_fd) == before


# An stty that gets SIGHUP before it has set anything, as the foreground does when the session's leader ends
HUNG_UP = """#!/bin/sh
[ "$1" = -g ] || kill -HUP "$$"
exec /usr/bin/stty "$@"
"""


def test_the_terminal_is_set_back_though_its_session_ends(tmp_path: Path) -> None:
    """If make is the first process of a session that is killed, stty gets SIGHUP."""
    stty = tmp_path / "stty"
    stty.write_text(HUNG_UP)
    stty.chmod(0o755)
    command = ("scripts/foreground.sh", "/usr/bin/python3", "-c", SETS_IT)
    with labs.session(*command, PATH=f"{tmp_path}:{os.environ['PATH']}") as person:
        before = termios.tcgetattr(person.child.child_fd)
        person.wait("here")
        os.kill(person.child.pid, TERM)
        assert labs.wait_until(
            lambda: not person.child.isalive(), lab_processes.SECONDS
        )
        assert termios.tcgetattr(person.child.child_fd) == before


def test_labs_that_start_at_once() -> None:
    """Each sweeps left-over folders, but not one that another lab is just making."""
    lines = ["start() { for i in {1..12}; do (PORT=$1; export PORT"]
    lines += [". scripts/guest.sh; start_lab) || echo failed; done; }"]
    lines += [f"start {labs.free_port()} &" for _ in range(6)]
    started = labs.run("bash", "-c", "\n".join([*lines, "wait"]))
    assert started.stdout + started.stderr == "", started
