# SPDX-License-Identifier: GPL-2.0-only
"""What a front end gets: an editor that speaks MI to gdb.

At the lab's own stops it gets what a breakpoint of the user's gives it: why, where, and
on which thread. At a terminal, a person gets the lab's own words.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from support import labs

STOPPED = re.compile(r"^\*stopped.*$")
PROMPT = re.compile(r"^\(gdb\) *$")
HIT = "PASS  hit"


class FrontEnd:
    """A gdb with MI, started as an editor starts it."""

    def __init__(self, port: int, vmlinux: Path) -> None:
        words = ["gdb", "-nx", "-q", "-i=mi", "-iex", "set auto-load no", vmlinux]
        self.gdb = subprocess.Popen(
            words,
            cwd=labs.ROOT,
            env=labs.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.wait(PROMPT)
        self.ask("-gdb-set pagination off")
        self.ask(f"-target-select remote {labs.gdb_socket(port)}")

    def wait(self, pattern: re.Pattern[str]) -> list[str]:
        """Read lines up to one that matches; fail the test if gdb ends."""
        lines: list[str] = []
        assert self.gdb.stdout is not None
        for line in self.gdb.stdout:
            lines.append(line.rstrip("\n"))
            if pattern.match(lines[-1]):
                return lines
        raise AssertionError("gdb has ended:\n" + "\n".join(lines))

    def ask(self, command: str) -> list[str]:
        """Run a command that does not resume the guest: the output up to the next prompt."""
        assert self.gdb.stdin is not None
        self.gdb.stdin.write(f"7{command}\n")
        self.gdb.stdin.flush()
        lines = self.wait(re.compile(r"7\^(done|running|connected|error)"))
        assert not lines[-1].startswith("7^error"), lines
        return lines + self.wait(PROMPT)

    def type(self, command: str) -> list[str]:
        """Run a command as an editor's console does for a person who types it."""
        return self.ask(f'-interpreter-exec console "{command}"')

    def run(self, command: str) -> tuple[str, list[str]]:
        """Run a command that resumes the guest: the *stopped record, and what preceded it."""
        lines = self.ask(command)
        stops = [line for line in lines if STOPPED.match(line)]
        if not stops:
            lines += self.wait(STOPPED)
            stops = lines[-1:]
        assert len(stops) == 1, lines
        return stops[0], lines


@pytest.fixture(scope="module")
def front_end(kernel: Path, vmlinux: Path) -> Iterator[FrontEnd]:
    """A front end, stopped at the reset, with the lab loaded."""
    port = labs.free_port()
    words = "nokaslr lab.run=demo lab.then=reboot"
    with labs.qemu(port, kernel / "vmlinux.pvh", words):
        editor = FrontEnd(port, vmlinux)
        try:
            editor.type("source gdb/seginfo.py")
            editor.type("seginfo brief")
            yield editor
        finally:
            editor.gdb.kill()
            editor.gdb.communicate()


def fields(record: str) -> dict[str, str]:
    """Return the plain results of a record, those of its frame as frame.NAME."""
    frame = re.search(r"frame=\{(.*?),args=\[.*?\],(.*?)\}", record)
    assert frame, f"no frame in {record}"
    pair = re.compile(r'([\w-]+)="((?:[^"\\]|\\.)*)"')
    inside = {f"frame.{k}": v for k, v in pair.findall(f"{frame[1]},{frame[2]}")}
    return dict(pair.findall(record.replace(frame[0], ""))) | inside


@pytest.mark.once
def test_own_stops_tell_what_a_breakpoint_of_the_persons_tells(
    front_end: FrontEnd,
) -> None:
    hit, lines = front_end.run("-exec-continue")
    assert any(HIT in line for line in lines), lines
    number = re.search(
        r'bkpt=\{number="(\d+)"',
        "".join(front_end.ask("-break-insert -h __x64_sys_write")),
    )
    assert number
    own, _ = front_end.run("-exec-continue")
    front_end.ask(f"-break-delete {number[1]}")
    ended, lines = front_end.run(
        '-interpreter-exec console "lab trace syscall write --limit 1"'
    )
    assert any("sys_write" in line for line in lines), lines
    persons = fields(own)
    assert persons["reason"] == "breakpoint-hit" and persons["bkptno"] == number[1]
    for stop, function in ((hit, "segment_info"), (ended, "sys")):
        found = fields(stop)
        assert set(found) == set(persons), stop
        assert found["reason"] == "breakpoint-hit"
        assert function in found["frame.func"] and int(found["frame.line"])
        assert found["thread-id"] in ("1", "2") and found["stopped-threads"] == "all"
    assert 'value="off"' in "".join(
        front_end.ask("-gdb-show suppress-cli-notifications")
    )


@pytest.mark.once
def test_the_screen_is_the_labs_own(kernel: Path, vmlinux: Path, port: int) -> None:
    """Unless the user has a breakpoint at the same place: then gdb reports that."""
    words = "nokaslr lab.run=demo lab.then=reboot"
    with labs.qemu(port, kernel / "vmlinux.pvh", words):
        ended = labs.gdb(
            f"target remote {labs.gdb_socket(port)}",
            "source gdb/seginfo.py",
            "seginfo brief",
            "echo first\\n",
            "continue",
            "echo second\\n",
            "hbreak *$pc",
            "continue",
            "echo third\\n",
            "show suppress-cli-notifications",
            program=vmlinux,
        )
    output = ended.stdout
    first = output.split("first\n")[1].split("second\n")[0]
    second = output.split("second\n")[1].split("third\n")[0]
    assert "hit Breakpoint" not in first and first.count("#0  ") == 1, first
    assert re.search(r"^PASS  hit 1, demo \d+: ", first, re.M), first
    assert re.search(r"^Thread \d hit Breakpoint 2, ", second, re.M), second
    assert re.search(r"^PASS  hit 2, demo \d+: ", second, re.M), second
    assert "is off" in output.split("third\n")[1]
