# SPDX-License-Identifier: GPL-2.0-only
"""Start a lab with make, kill one of its processes, and see what is left: for test_ends.py."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from support import labs

SECONDS = 2  # within which all processes of a lab end
MARK = "SEGINFO_TEST_MARK"
SCRIPTS = ("boot", "debug", "verify", "record", "replay")


def role(words: list[bytes]) -> str:
    """Tell what a process of a lab is from its command line."""
    name = os.path.basename(words[0]).decode()
    if name == "bash" and len(words) > 1:
        script = os.path.basename(words[1]).decode().removesuffix(".sh")
        return "script" if script in SCRIPTS else script
    return "qemu" if name.startswith("qemu-system") else name


class Started:
    """A running make of the lab; all its processes have a mark in their environment."""

    def __init__(self, target: str, port: int, commands: str = "", **settings: Any):
        self.port = port
        self.mark = f"{MARK}={uuid.uuid4()}".encode()
        name, _, value = self.mark.decode().partition("=")
        given = tempfile.TemporaryFile("w+")
        given.write(commands)
        given.seek(0)
        self.output = tempfile.TemporaryFile("w+", errors="replace")
        self.make = subprocess.Popen(
            # the kernel and the image are built, and checking that takes long
            ["make", "--old-file=kernel", "--old-file=image", target],
            cwd=labs.ROOT,
            env=labs.environment(PORT=port, **{name: value}, **settings),
            stdin=given,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        given.close()

    def processes(self) -> dict[int, str]:
        """The lab's running processes: the role of each, by process id."""
        return marked(self.mark)

    def find(self, what: str) -> int | None:
        """Find a process with this role."""
        return next((pid for pid, is_ in self.processes().items() if is_ == what), None)

    def wait_for(self, what: str, limit: float = 60) -> int:
        """Wait for a process with this role, and return its id."""
        assert labs.wait_until(lambda: self.find(what), limit), self.processes()
        pid = self.find(what)
        assert pid, f"the {what} has ended: {self.printed()}"
        return pid

    def printed(self) -> str:
        """Its output so far."""
        self.output.seek(0)
        return self.output.read()

    def end(self) -> None:
        """Kill the processes that still run."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.make.wait(labs.LIMIT)


def marked(mark: bytes) -> dict[int, str]:
    """The processes with a mark in their environment: the role of each, by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark not in (entry / "environ").read_bytes().split(b"\0"):
                continue
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is somebody else's
        if words[0]:
            found[int(entry.name)] = role(words)
    return found


def is_dead(pid: int) -> bool:
    """Has a process ended? A zombie has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rsplit(")", 1)[1].split()[0] in "ZX"


def gone_after(mark: bytes, limit: float) -> float | None:
    """Wait until nothing with a mark runs: in how many seconds, None if not within limit."""
    start = time.monotonic()
    while marked(mark):
        if time.monotonic() - start > limit:
            return None
        time.sleep(0.02)
    return time.monotonic() - start


def left(port: int, folder: Path) -> list[Path]:
    """Return what a lab has left on the disk: its memory, sockets and temporary files."""
    found = [labs.run_folder(port), labs.BUILD / "run" / str(port) / "replay.qcow2"]
    found += [labs.BUILD / "run" / str(port) / "memory"]
    return [path for path in found if path.exists()] + list(folder.iterdir())
