# SPDX-License-Identifier: GPL-2.0-only
"""lab trace fork and exit run on a program, beside what the program printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timelines

Line = dict[str, str]


class Life(timelines.Trace):
    """A run with its events by step and the program's lines by their first word."""

    def step(self, name: str, **wanted: Any) -> list[timelines.Event]:
        """The events of one step that have these values."""
        return [
            event
            for event in self.events
            if event["step"] == name
            and all(event.get(key) == value for key, value in wanted.items())
        ]

    def lines(self, name: str) -> list[Line]:
        """The program's lines "NAME KEY=VALUE ..."."""
        return [
            dict(word.split("=") for word in line.split()[1:])
            for line in self.console.splitlines()
            if line.split()[:1] == [name]
        ]

    @property
    def table(self) -> list[dict[str, Any]]:
        """The rows of the summary."""
        return self.parts[0]["rows"]


def life(what: str, program: Path, port: int, tmp: Path) -> Life:
    """Follow a program to its end, on two processors."""
    done = timelines.trace(f"{what} --limit 9000", port, tmp, PROGRAM=program, SMP=2)
    return Life(done.events, done.parts, done.console)
