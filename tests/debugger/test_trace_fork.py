# SPDX-License-Identifier: GPL-2.0-only
"""lab trace fork compared with what the programs print about themselves."""

from __future__ import annotations

import errno
import signal
from collections import Counter
from typing import Any

import pytest

from support.traces import Line, Trace, Traced, traced_once

CLONE_FS, CLONE_FILES, CLONE_NEWNS = 0x200, 0x400, 0x2_0000
CLONE_VM, CLONE_VFORK, CLONE_PARENT, CLONE_THREAD = 0x100, 0x4000, 0x8000, 0x1_0000
PAGES = 32  # of the area in tests/guest/programs/births.c

births = traced_once("fork", "births.c")
storm = traced_once("fork", "family_storm.c")


def child_of(births: Trace, line: Line) -> dict[str, Any]:
    """Return the event of the child that a line is about."""
    (event,) = births.step("new", child=int(line["child"]))
    return event


def test_ends_by_itself_and_reads_all(births: Trace) -> None:
    assert "every followed process has ended." in births.ended
    assert "exited with 0" in births.console


def test_what_is_copied(births: Trace) -> None:
    (line,) = births.lines("areas")
    event = child_of(births, line)
    assert event["call"] == "fork" and event["flags"] == 0
    assert event["exit_signal"] == signal.SIGCHLD
    assert event["areas"] == int(line["ours"])
    assert event["areas_copied"] == int(line["theirs"]) == int(line["ours"]) - 1
    assert event["left_out"] == [int(line["left_out"])]
    assert event["wiped"] == [int(line["wiped"])]
    assert event["mm_users"] == 1
    # Except for these two pages, areas are not copied if they have no anonymous pages
    assert event["pages_left"] == int(line["unshared"])
    assert event["pages_left"] == event["pages"] - event["pages_copied"] - 2
    assert sum("... with 1 page is " in text for text in event["lines"]) == 2
    assert {"mm", "files", "fs", "sighand", "signal"} <= set(event["own"])
    assert event["shared"] == ["nsproxy"]


def test_write_protection(births: Trace) -> None:
    """All our pages that were written to are protected, but for two that are not shared."""
    (line,) = births.lines("areas")
    event = child_of(births, line)
    # Left out, and empty in the child: these remain ours alone
    assert event["made_read_only"] == int(line["dirty"]) - 2
    assert int(line["faults"]) == PAGES - 2


def test_calls(births: Trace) -> None:
    for line in births.lines("libc"):
        assert child_of(births, line)["call"] == "clone"
    (line,) = births.lines("vfork")
    event = child_of(births, line)
    assert event["call"] == "vfork"
    assert event["flags"] == CLONE_VM | CLONE_VFORK
    assert event["shared"] == ["mm", "nsproxy"]
    assert event["mm_users"] == 2


def test_vfork_makes_its_caller_wait(births: Trace) -> None:
    (line,) = births.lines("vfork")
    child = int(line["child"])
    (done,) = births.step("vfork done", pid=child)
    (back,) = births.step("returns", result=child)
    (first,) = births.step("first run", pid=child)
    assert first["number"] < done["number"] < back["number"]
    assert done["function"] == "exec_mm_release"
    assert back["waited"] and back["pid"] == done["parent"]
    assert "gets memory of its own" in done["what"]
    assert back["what"].endswith(": the child has let go of its memory")
    # If the caller was killed, nobody waits
    others = births.step("vfork done")
    assert [event["pid"] for event in others] == [child, int(copied(births)["child"])]


def copied(births: Trace) -> Line:
    """The child with a memory of its own, for which its caller waits."""
    (line,) = [x for x in births.lines("clone") if int(x["flags"]) & CLONE_VFORK]
    return line


def test_vfork_of_a_copy(births: Trace) -> None:
    """CLONE_VFORK without CLONE_VM."""
    child = int(copied(births)["child"])
    assert "mm" in child_of(births, copied(births))["own"]
    (first,) = births.step("first run", pid=child)
    (done,) = births.step("vfork done", pid=child)
    (back,) = births.step("returns", result=child)
    assert first["number"] < done["number"] < back["number"]
    assert "in its copy of the memory" in first["what"]
    assert done["function"] == "exit_mm_release" and done["what"].endswith(": it ends")
    assert back["waited"]
    assert back["what"].endswith(": the child has executed a program or ended")


def test_vfork_whose_caller_is_killed(births: Trace) -> None:
    lines = births.lines("killed_vfork")
    asked = [int(line["flags"]) & (CLONE_VM | CLONE_VFORK) for line in lines]
    assert asked == [CLONE_VM | CLONE_VFORK, CLONE_VFORK]
    for line, flags in zip(lines, asked):
        (back,) = births.step("returns", result=int(line["child"]))
        assert not back["waited"] and "killed while it waits" in back["what"]
        assert back["pid"] == int(line["parent"])
        runs = "the child runs on" + " in its memory" * bool(flags & CLONE_VM)
        assert back["what"].endswith(f", {runs}")
        (first,) = births.step("first run", pid=int(line["child"]))
        where = "in its parent's memory" if flags & CLONE_VM else "in its copy of the"
        assert where in first["what"]


def test_memory_of_who_made_it(births: Trace) -> None:
    """With CLONE_PARENT, its maker is not the parent."""
    (line,) = births.lines("sibling")
    child, maker = int(line["child"]), int(line["maker"])
    event = child_of(births, line)
    assert event["flags"] == CLONE_VM | CLONE_PARENT and "mm" in event["shared"]
    assert event["pid"] == maker and event["parent"] == int(line["parent"])
    (first,) = births.step("first run", pid=child)
    assert (
        f", in the memory of {event['comm']} {maker}, which made it: " in first["what"]
    )


def test_flags(births: Trace) -> None:
    lines = births.lines("clone")
    assert len(lines) == 4
    for line in lines:
        event, given = child_of(births, line), int(line["flags"])
        assert event["flags"] | event["exit_signal"] == given
        assert ("fs" in event["shared"]) == bool(given & CLONE_FS)
        assert ("files" in event["shared"]) == bool(given & CLONE_FILES)
        assert ("fs" in event["own"]) == (not given & CLONE_FS)
        assert ("nsproxy" in event["own"]) == bool(given & CLONE_NEWNS)
    assert "CLONE_FS|CLONE_FILES; SIGCHLD" in child_of(births, lines[1])["lines"][0]
    assert "SIGWINCH" in child_of(births, lines[2])["lines"][0]


def test_threads(births: Trace) -> None:
    lines = births.lines("thread")
    found = [event for event in births.step("new") if event["flags"] & CLONE_THREAD]
    assert len(lines) == 8
    assert Counter(event["child"] for event in found) == Counter(
        int(line["child"]) for line in lines
    )
    for event in found:
        assert event["child_process"] == event["pid"] == int(lines[0]["process"])
        assert {"mm", "files", "fs", "sighand", "signal"} <= set(event["shared"])
        assert event["call"] == "clone3" and event["own"] == []
        assert event["mm_users"] >= 2
    for line in lines:
        event, place = child_of(births, line), int(line["place"])
        assert event["stack"] - event["stack_size"] <= place < event["stack"]
        assert event["tls"] == int(line["self"])  # glibc: pthread_t is that address
        where = f"{event['stack'] - event['stack_size']:#x}-{event['stack']:#x}, "
        assert any(where in text for text in event["lines"])


def test_failures(births: Trace) -> None:
    failures = [(line["call"], -int(line["errno"])) for line in births.lines("fails")]
    found = [(event["call"], event["result"]) for event in births.step("fails")]
    assert found == failures
    assert failures == [
        ("clone", -errno.EINVAL),
        ("clone3", -errno.EINVAL),
        ("fork", -errno.EAGAIN),
    ]


def test_summary(births: Trace) -> None:
    rows = {row["syscall"]: row for row in births.table}
    assert rows["clone3"]["threads"] == 8 and rows["clone3"]["failed"] == 1
    assert rows["vfork"]["processes"] == 2
    counts = program_says(births)
    failed = Counter(line["call"] for line in births.lines("fails"))
    (areas,) = births.lines("areas")
    assert rows.keys() == counts.keys()
    for call, row in rows.items():
        assert (row["processes"], row["threads"]) == counts[call], call
        assert row["failed"] == failed[call]
    assert rows["fork"]["pages_made_read_only"] == int(areas["dirty"]) - 2
    assert rows["clone"]["pages_made_read_only"] > 0
    for call in ("vfork", "clone3"):  # nothing was copied
        assert rows[call]["pages_made_read_only"] == 0
    for call, row in rows.items():
        made = [event for event in births.step("new") if event["call"] == call]
        assert row["processes"] + row["threads"] == len(made)
        total = sum(event.get("made_read_only", 0) for event in made)
        assert row["pages_made_read_only"] == total


def program_says(births: Trace) -> dict[str, tuple[int, int]]:
    """Return how many processes and threads it made with which system call."""
    killed, made = births.lines("killed_vfork"), Counter[str]()
    made["fork"] = len(births.lines("areas"))
    made["vfork"] = len(births.lines("vfork"))
    made["clone"] = len(births.lines("libc")) + len(births.lines("clone"))
    made["clone"] += 2 * len(births.lines("sibling"))  # and those that made it
    for line in killed:
        made["clone"] += 1  # the caller
        made["vfork" if int(line["flags"]) & CLONE_VM else "clone"] += 1
    expected = {call: (count, 0) for call, count in made.items()}
    return expected | {"clone3": (0, len(births.lines("thread")))}


@pytest.mark.once
@pytest.mark.slow
def test_none_lost_none_twice(storm: Trace) -> None:
    """8 threads start 20 children each, on two processors."""
    words = [line.split() for line in storm.console.splitlines()]
    children = {int(w[1]): int(w[3]) for w in words if w[:1] == ["child"]}
    threads = {int(w[1]) for w in words if w[:1] == ["thread"]}
    assert len(children) == 160 and len(threads) == 8
    expected = Counter(list(children) + list(threads))
    assert Counter(event["child"] for event in storm.step("new")) == expected
    assert Counter(event["result"] for event in storm.step("returns")) == expected
    assert Counter(event["tid"] for event in storm.step("first run")) == expected
    for event in storm.step("new"):
        if event["child"] in children:
            assert event["tid"] == children[event["child"]]
            assert event["areas_copied"] == event["areas"]
    assert {event["cpu"] for event in storm.events} == {0, 1}
    assert "Not all could be read" not in storm.ended


def test_what_is_copied_while_areas_come_and_go(traced: Traced) -> None:
    """Nothing that fork() found is left out, and nothing that came later is reported."""
    found = traced("fork", "fork_churn.c", SMP=2)
    words = [line.split() for line in found.console.splitlines()]
    (count,) = [int(w[1]) for w in words if w[:1] == ["forked"]]
    made = [event for event in found.step("new") if event["call"] == "fork"]
    assert len(made) == count
    for event in made:
        assert event["areas_copied"] == event["areas"] and event["left_out"] == []
    assert "Not all could be read" not in found.ended
