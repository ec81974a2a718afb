# SPDX-License-Identifier: GPL-2.0-only
"""A person at a terminal whose screen can be read, by means of tmux.

For programs that draw the whole screen, such as gdb's TUI. See labs.Session for others.
"""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

from support import labs

COMMANDS = ("vmas", "regs", "kernel")
LIMIT = 60


class Screen:
    """`make debug` in a terminal of a given size, and what is on its screen."""

    def __init__(
        self, tmp: Path, port: int, width: int, height: int, **settings: Any
    ) -> None:
        self._tmux = ("tmux", "-u", "-L", f"seginfo-{port}", "-f", "/dev/null")
        self._result = tmp / f"{port}.json"
        settings = {
            "LC_ALL": "C.UTF-8",
            "PORT": port,
            "LAB_RESULT": self._result,
            "LAB_GIVEN": json.dumps(COMMANDS),
        } | settings
        words = [f"{name}={value}" for name, value in settings.items()]
        size = ("-x", str(width), "-y", str(height))
        subprocess.run(
            [*self._tmux, "new-session", "-d", *size, "env", *words]
            + [str(labs.ROOT / "scripts" / "debug.sh")],
            cwd=labs.ROOT,
            env=labs.environment(),
            check=True,
        )
        self.wait(lambda: self.lines()[-1] == "(gdb)" or "(gdb)" in self.lines())
        self.gdb("source tests/debugger/in_gdb/layout.py")

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], capture_output=True, text=True)
        return done.stdout

    def lines(self, colours: bool = False) -> list[str]:
        """Return what is on the screen, with the codes for colours if asked for."""
        output = self._run("capture-pane", "-p", *(["-e"] if colours else []))
        return [line.rstrip() for line in output.rstrip("\n").split("\n")]

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait for something on the screen."""
        shown = labs.wait_until(condition, LIMIT)
        assert shown, "not on the screen:\n" + "\n".join(self.lines())

    def _settle(self) -> None:
        """Wait until the screen does not change any more, and nobody is at work on it.

        On a busy machine a screen that does not change says little: gdb may be waiting
        for a processor. Only when all of the lab's processes sleep is everything drawn.
        """
        before: list[str] = []
        is_quiet = False
        while not (before == (before := self.lines(colours=True)) and is_quiet):
            time.sleep(0.15)
            is_quiet = not self._is_at_work()

    def _is_at_work(self) -> bool:
        """Does tmux or anything started in it run, or wait for a processor?

        By the first thread of each: that of a QEMU whose guest runs sleeps all the same.
        """
        parents: dict[int, int] = {}
        busy: set[int] = set()
        for pid, stat in labs.processes("stat"):
            state, parent = stat.rpartition(b")")[2].split()[:2]
            parents[pid] = int(parent)
            if state in (b"R", b"D"):
                busy.add(pid)
        server = int(self._run("display-message", "-p", "#{pid}") or 0)
        return any(server in _line(pid, parents) for pid in busy)

    def type(self, line: str) -> None:
        """Type a line without waiting."""
        self._run("send-keys", "-l", line)
        self._run("send-keys", "Enter")

    def press(self, *keys: str) -> None:
        """Press keys by their names in tmux: C-l, NPage, Down."""
        self._run("send-keys", *keys)
        self._settle()

    def resize(self, width: int, height: int) -> None:
        """Drag the corner of the terminal's window."""
        self._run("resize-window", "-x", str(width), "-y", str(height))
        time.sleep(0.3)
        self._settle()

    @property
    def prompts(self) -> int:
        """How many prompts gdb has shown since the start."""
        return self.report("prompt") if self._result.exists() else 0

    def report(self, command: str) -> Any:
        """Return the report of `lab COMMAND --json` at the last prompt."""
        return json.loads(self._result.read_text())[command]

    def gdb(self, command: str) -> list[str]:
        """Type a gdb command, wait for the next prompt, and return the screen."""
        before = self.prompts
        self.type(command)
        self.wait(lambda: self.prompts > before)
        self._settle()
        return self.lines()

    def window(self, colours: bool = False) -> list[str]:
        """Return the lines of the window `lab`, to the right of the source."""
        lines = self.lines()
        left = max(lines[0].find("┐", 1, -1), lines[0].find("┌", 1, -1))
        assert left > 0, "there are no two windows:\n" + "\n".join(lines)
        bottom = next(i for i, line in enumerate(lines) if line.startswith("└"))
        if colours:
            return self.lines(colours=True)[1:bottom]
        return [line[left + 1 : -1].rstrip() for line in lines[1:bottom]]

    def all_of_window(self) -> list[str]:
        """Return all lines of the window, by paging down; it gets the focus."""
        self.gdb("focus lab")
        self.press(*["PPage"] * 99)
        found = self.window()
        while True:
            self.press("NPage")
            page = self.window()
            # A page repeats lines of the one before, and the last page most of them
            sizes = range(len(page), -1, -1)
            old = next(i for i in sizes if found[len(found) - i :] == page[:i])
            if old == len(page):
                return found
            found += page[old:]

    def close(self) -> None:
        """End gdb, and the lab with it."""
        self.type("quit")
        labs.wait_until(lambda: not self._run("list-sessions"), 10)
        self._run("kill-server")


def _line(pid: int, parents: dict[int, int]) -> Iterator[int]:
    """Yield a process, its parent, and so on."""
    while pid in parents:
        yield pid
        pid = parents[pid]


@contextmanager
def screen(
    tmp: Path, port: int, width: int = 80, height: int = 24, **settings: Any
) -> Iterator[Screen]:
    """A Screen that ends with the block."""
    person = Screen(tmp, port, width, height, **settings)
    try:
        yield person
    finally:
        person.close()
