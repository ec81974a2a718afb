# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of `lab trace` share: run it, and look at what it said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab

Event = dict[str, Any]
ARMED = ("source gdb/seginfo.py", "seginfo disarm")


@dataclass(frozen=True)
class Trace:
    """What one `lab trace ... --json` gave, and what the guest wrote meanwhile."""

    events: list[Event]
    parts: list[Any]  # the summary
    console: str

    @property
    def ended(self) -> str:
        """The last sentence: how many events, and why it ended."""
        return self.parts[-1]

    def of(self, tid: int) -> list[Event]:
        """The events of one thread."""
        return [event for event in self.events if event["tid"] == tid]


def trace(
    what: str,
    port: int,
    tmp: Path,
    before: tuple[str, ...] = ARMED,
    **settings: Any,
) -> Trace:
    """Boot a guest and trace in it: what is behind `lab trace`.

    PROGRAM, ARGS and others are settings of `make debug`.
    """
    command = f"lab trace {what} --json"
    (said,) = lab.inside("trace.py", port, tmp, [command], before, **settings)
    assert isinstance(said, list), said
    events, *parts = said
    return Trace(events["data"], parts, lab.console_log(port))
