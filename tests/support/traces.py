# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of `lab trace` share: running it, and access to its events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest

from support import labs

Event = dict[str, Any]
Line = dict[str, str]
ARMED = ("source gdb/seginfo.py", "seginfo disarm")


@dataclass(frozen=True)
class Trace:
    """The report of one `lab trace ... --json`, and the guest's output in the meantime."""

    events: list[Event]
    parts: list[Any]  # the summary
    console: str

    @property
    def ended(self) -> str:
        """The last sentence: how many events there were, and why the trace ended."""
        return self.parts[-1]

    @property
    def table(self) -> list[dict[str, Any]]:
        """The rows of the summary."""
        return self.parts[0]["rows"]

    def of(self, tid: int) -> list[Event]:
        """The events of one thread."""
        return [event for event in self.events if event["tid"] == tid]

    def step(self, name: str, **wanted: Any) -> list[Event]:
        """The events of one kind whose members have these values."""
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


COMMON = ("number", "time_ns", "cpu", "pid", "tid", "comm", "function", "what")
COMMON += ("changes", "lines")


def known_kinds(what: str) -> list[set[str]]:
    """Read from notes/schemas.md which members each kind of event of a timeline has."""
    page = (labs.ROOT / "notes" / "schemas.md").read_text()
    section = page.partition(f"### lab trace {what}\n")[2].partition("\n###")[0]
    kinds = []
    for kind in section.split("\n- ")[1:]:
        step = ("step",) * kind.startswith("`")
        kinds.append({*COMMON, *step, *re.findall(r"^  - `(\w+)`", kind, re.M)})
    return kinds


def check_kinds(what: str, events: list[Event]) -> None:
    """Check that every event has just the members that the notes list."""
    kinds = known_kinds(what)
    for event in events:
        assert set(event) in kinds, event


Traced = Callable[..., Trace]


@pytest.fixture(scope="session")
def traced(
    kernel: Path,
    program: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Traced:
    """A function that boots a guest, runs one trace in it, and leaves nothing behind."""

    def run(
        what: str,
        followed: str | Path | None = None,
        before: tuple[str, ...] = ARMED,
        **settings: Any,
    ) -> Trace:
        """Run `lab trace WHAT`.

        :param followed: the program, or its source in tests/guest/programs
        :param before: gdb commands to run first
        :param settings: variables of `make debug`, such as ARGS
        """
        if followed is not None:
            named = isinstance(followed, str)
            settings["PROGRAM"] = program(followed) if named else followed
        port, folder = labs.free_port(), tmp_path_factory.mktemp("traced")
        try:
            (report,) = labs.inside(
                "trace.py",
                port,
                folder,
                [f"lab trace {what} --json"],
                before,
                **settings,
            )
            assert isinstance(report, list), report
            events, *parts = report
            check_kinds(what.split()[0], events["data"])
            return Trace(events["data"], parts, labs.console_log(port))
        finally:
            assert labs.leaks(port) == []

    return run


def traced_once(what: str, source: str) -> Any:
    """Make a fixture: a program of tests/guest/programs, traced once per test module."""

    @pytest.fixture(scope="module")
    def run(traced: Traced) -> Trace:
        return traced(f"{what} --limit 9000", source, SMP=2)

    return run
