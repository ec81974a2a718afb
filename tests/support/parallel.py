# SPDX-License-Identifier: GPL-2.0-only
"""Distribute the tests over several processes of pytest (-n), and show their progress.

Tests that share a guest or a recording stay together, or each process would make its own.
All others go to whichever process is free. --progress prints a line now and then, which
can be read in a terminal as well as in the log of a CI, and shows a failure at once.
"""

from __future__ import annotations

import time
from typing import Any, Iterable

import pytest

# Fixtures of a module or session that are quick to make: each process may have its own
CHEAP = {"kernel", "vmlinux", "bzimage", "program", "module", "traced"}
CHEAP |= {"nothing_left_behind", "tmp_path_factory"}
SECONDS = 20  # between two lines of progress


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--progress", metavar="NAME", help="say how far the tests are on NAME"
    )


def shares(item: pytest.Item) -> bool:
    """Does a test share a fixture with others that takes long to make?"""
    known: dict[str, Any] = getattr(item, "_fixtureinfo").name2fixturedefs
    return any(
        made[-1].scope != "function"
        for name, made in known.items()
        if name not in CHEAP
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share together, and start them first, since they take longest."""
    together, single = [], []
    for item in items:
        if shares(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
            together.append(item)
        else:
            single.append(item)
    items[:] = together + single


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--progress")
    if name and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(name), "progress-lines")


class Progress:
    """Lines "120 of 800 tests, 3 min 20 s, Linux 6.1", and each failure at once."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.done: set[str] = set()
        self.failed = 0
        self.started = self.last = time.monotonic()

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, str] | None:
        """No dots, and no letters."""
        if report.failed:
            return None
        counts = report.skipped or report.when == "call"
        return (report.outcome if counts else "", "", "")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.total = len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        self.total = len(list(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed += 1
            print(f"\nFAILED {report.nodeid} ({report.when})\n{report.longreprtext}")
        if report.when == "teardown":
            self.done.add(report.nodeid)
            now = time.monotonic()
            if now - self.last >= SECONDS or len(self.done) == self.total:
                self.last = now
                self.say(now)

    def say(self, now: float) -> None:
        """Print a line of progress."""
        minutes, seconds = divmod(int(now - self.started), 60)
        failed = f", {self.failed} FAILED" if self.failed else ""
        print(
            f"{len(self.done)} of {self.total} tests{failed}, {minutes} min {seconds} s, {self.name}",
            flush=True,
        )
