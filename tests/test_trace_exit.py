# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exit against what the programs say of themselves and their children."""

from __future__ import annotations

import errno
import signal
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import lab
import pytest
from lifelines import Life, life

Event = dict[str, Any]
Factory = pytest.TempPathFactory


@pytest.fixture(scope="module")
def deaths(
    program: Callable[[str], Path], kernel: Path, tmp_path_factory: Factory
) -> Iterator[Life]:
    """deaths.c."""
    port = lab.free_port()
    yield life("exit", program("deaths.c"), port, tmp_path_factory.mktemp("deaths"))
    assert lab.leaks(port) == []


@pytest.fixture(scope="module")
def storm(
    program: Callable[[str], Path], kernel: Path, tmp_path_factory: Factory
) -> Iterator[Life]:
    """family_storm.c."""
    port = lab.free_port()
    yield life(
        "exit", program("family_storm.c"), port, tmp_path_factory.mktemp("storm")
    )
    assert lab.leaks(port) == []


def own_process(deaths: Life) -> int:
    """The program's own id."""
    (line,) = deaths.lines("self")
    return int(line["process"])


def ended(deaths: Life, name: str) -> int:
    """The child that ended in a way."""
    (line,) = [line for line in deaths.lines("ended") if line["name"] == name]
    return int(line["child"])


def reported(deaths: Life, child: int) -> Event:
    """The event that tells of a child's zombie."""
    (event,) = deaths.step("reported", process=child)
    return event


def kinds(deaths: Life, process: int) -> list[Event]:
    """The ends of all threads of a process."""
    return deaths.step("ends", process=process)


def test_ends_by_itself_and_reads_all(deaths: Life) -> None:
    assert deaths.ended.endswith("every followed process has ended.")
    assert "exited with 0" in deaths.console


def test_statuses(deaths: Life) -> None:
    """What wait() and /proc said of each child, and the order of things."""
    lines = deaths.lines("ended")
    assert len(lines) == 13
    for line in lines:
        child, status = int(line["child"]), int(line["status"])
        zombie = reported(deaths, child)
        assert zombie["status"] == status and zombie["zombie"]
        assert line["state"] == "Z"
        assert zombie["signal"] == signal.SIGCHLD
        assert zombie["parent"] == own_process(deaths)
        (released,) = deaths.step("released", task=child)
        assert released["status"] == status and released["how"] == "wait4"
        assert released["by"] == own_process(deaths)
        first, second = deaths.step("waited", child=child)
        assert first["call"] == "waitid" and second["call"] == "wait4"
        assert first["si_code"] == int(line["si_code"])
        assert first["si_status"] == int(line["si_status"])
        assert second["status"] == status
        # The C library's macros told the same as the lab's words
        texts = {zombie["status_text"], first["status_text"], second["status_text"]}
        assert texts == {status_text(status)}
        last = kinds(deaths, child)[-1]
        order = [last, zombie, first, released, second]
        assert [one["number"] for one in order] == sorted(
            one["number"] for one in order
        )


def status_text(status: int) -> str:
    """A wait status in words."""
    if status & 0x7F:
        return f"killed by {signal.Signals(status & 0x7F).name}"
    return f"exit status {status >> 8}"


def test_exit_and_exit_group(deaths: Life) -> None:
    (alone,) = kinds(deaths, ended(deaths, "exit"))
    assert alone["call"] == "exit_group" and alone["code"] == 3 << 8
    (thread,) = kinds(deaths, ended(deaths, "exit_of_a_thread"))
    assert thread["call"] == "exit" and thread["code"] == 4 << 8
    process = ended(deaths, "exit_group")
    ends = kinds(deaths, process)
    assert Counter(event["tid"] for event in ends) == Counter(
        [process, *threads(deaths, process)]
    )
    called = [event["tid"] for event in ends if event["call"] == "exit_group"]
    assert called == [process]
    assert {event["code"] for event in ends} == {5 << 8}


def threads(deaths: Life, process: int) -> list[int]:
    """The threads of a process besides the first, as they said themselves."""
    lines = deaths.lines("thread")
    return [int(one["id"]) for one in lines if int(one["process"]) == process]


@pytest.mark.parametrize("name, count", [("exit_group", 4), ("fault", 2), ("exec", 3)])
def test_threads_that_are_killed(deaths: Life, name: str, count: int) -> None:
    process = ended(deaths, name)
    expected = set(threads(deaths, process))
    (kills,) = deaths.step("kills", process=process)
    if name == "exec":  # the one that executes is left, the first one is not
        expected |= {process}
    assert set(kills["threads"]) == expected and len(expected) == count
    assert kills["number"] < min(one["number"] for one in kinds(deaths, process))


def test_a_signal_kills_every_thread(deaths: Life) -> None:
    process = ended(deaths, "kill")
    (kills,) = deaths.step("kills", process=process)
    assert kills["function"] == "complete_signal"
    assert set(kills["threads"]) == {process, *threads(deaths, process)}
    ends = kinds(deaths, process)
    assert len(ends) == 4
    assert {event["code"] for event in ends} == {signal.SIGKILL}
    assert all(event["call"] == "" for event in ends)


def test_a_fault_is_not_an_exec(deaths: Life) -> None:
    """Until v5.17 the thread that dumps core looked much like one in execve()."""
    for event in kinds(deaths, ended(deaths, "fault")):
        assert event["what"].startswith("SIGSEGV: ")
        assert "go" not in event["what"].split("; ")[-1]


def test_a_timer_kills(deaths: Life) -> None:
    for name, context in (("alarm", "hardirq"), ("term", "process")):
        (kills,) = deaths.step("kills", process=ended(deaths, name))
        assert kills["context"] == context
        assert ("that interrupts" in kills["what"]) == (name == "alarm")


def test_a_signal_behind_a_failed_exec(deaths: Life) -> None:
    (line,) = deaths.lines("behind_exec")
    (kills,) = deaths.step("kills", process=int(line["child"]))
    assert kills["threads"] == threads(deaths, int(line["child"]))
    assert kills["what"].startswith("SIGTERM ends the whole process")


def test_the_first_thread_may_end_first(deaths: Life) -> None:
    process = ended(deaths, "leader_first")
    first, last = kinds(deaths, process)
    assert first["tid"] == process and first["others"] == 1 and first["leader"]
    assert last["others"] == 0 and not last["leader"]
    assert reported(deaths, process)["tid"] == last["tid"]
    (released,) = deaths.step("released", task=last["tid"])
    assert released["how"] == "itself"


def test_exec_of_a_thread(deaths: Life) -> None:
    """It gets the process's number; its own is that of the first thread then."""
    process = ended(deaths, "exec")
    ends = kinds(deaths, process)
    assert len(ends) == 4  # three that were killed, and the process itself
    assert ends[-1]["tid"] == process and ends[-1]["code"] == 9 << 8
    assert [event["tid"] for event in ends].count(process) == 2
    (taken,) = deaths.step("released", how="execve")
    assert taken["process"] == process and taken["task"] != process
    assert len(deaths.step("released", task=process)) == 1


def test_memory(deaths: Life) -> None:
    """Every memory is given back once, by the last one who runs in it."""
    for line in deaths.lines("ended"):
        process = int(line["child"])
        *by_exec, memory = deaths.step("memory", process=process)
        assert len(by_exec) == (line["name"] == "exec")  # that of the old program
        assert not memory["executes"] and all(one["executes"] for one in by_exec)
        last = kinds(deaths, process)[-1]
        assert last["number"] < memory["number"] < reported(deaths, process)["number"]
        assert memory["areas"] >= 8 and memory["pages"] > 20
        assert last["mm_users"] >= 1
    mms = [event["mm"] for event in deaths.step("memory")]
    assert len(mms) > 11


def test_memory_of_a_vfork_child(deaths: Life) -> None:
    """It is its parent's."""
    (line,) = deaths.lines("vforked")
    child = int(line["child"])
    assert len(kinds(deaths, child)) == 1
    assert deaths.step("memory", process=child) == []


def test_orphans(deaths: Life) -> None:
    lines = deaths.lines("orphan")
    assert [line["name"] for line in lines] == ["init", "subreaper"]
    for line in lines:
        (event,) = deaths.step("adopted", child=int(line["child"]))
        assert event["tid"] == int(line["before"])
        assert event["parent"] == int(line["after"])
        assert event["by_init"] == (line["name"] == "init")
        (end,) = kinds(deaths, int(line["before"]))
        assert end["children"] == [int(line["child"])]


def test_a_zombie_is_adopted(deaths: Life) -> None:
    (line,) = deaths.lines("inherited")
    child = int(line["child"])
    first, second = deaths.step("reported", process=child)
    (adopted,) = deaths.step("adopted", child=child)
    assert first["parent"] == ended(deaths, "zombie") == adopted["tid"]
    assert second["parent"] == adopted["parent"] == own_process(deaths)
    assert first["status"] == second["status"] == int(line["status"])
    assert first["number"] < adopted["number"] < second["number"]


def test_a_tracer_ends(deaths: Life) -> None:
    """The zombie has the parent that it had before."""
    (line,) = deaths.lines("traced")
    child, tracer = int(line["child"]), int(line["tracer"])
    first, second = deaths.step("reported", process=child)
    assert first["parent"] == tracer and "for its tracer" in first["what"]
    assert second["parent"] == own_process(deaths) and second["tid"] == tracer
    assert f"{tracer} traces it no more" in second["what"]
    assert deaths.step("adopted", child=child) == []


def test_nobody_asks(deaths: Life) -> None:
    lines = deaths.lines("unasked")
    assert {line["name"] for line in lines} == {
        *("ignored", "leader_first", "nocldwait", "again")
    } and len(lines) == 9
    for line in lines:
        child, name = int(line["child"]), line["name"]
        event = reported(deaths, child)
        assert not event["zombie"]
        assert event["signal"] == (signal.SIGCHLD if name == "nocldwait" else 0)
        said = "has SA_NOCLDWAIT" if name == "nocldwait" else "ignores SIGCHLD"
        assert event["what"].endswith(said)
        (released,) = deaths.step("released", task=child)
        alone = name in ("ignored", "nocldwait")
        assert released["how"] == ("itself" if alone else "its last thread")
        # Counts none out that has only the place of one that is gone
        assert [one["others"] for one in kinds(deaths, child)] == [1, 0][alone:]
    failed = [e for e in deaths.step("waited") if e["result"] == -errno.ECHILD]
    assert len(failed) == 9


def test_summary(deaths: Life) -> None:
    rows = {row["pid"]: row for row in deaths.table}
    assert len(rows) == len(deaths.table)
    for line in deaths.lines("ended"):
        row = rows[int(line["child"])]
        assert row["ended"] == status_text(int(line["status"]))
        assert row["released_by"].endswith(f" {own_process(deaths)} in wait4()")
    assert own_process(deaths) in rows


def test_the_kernel_waits(
    program: Callable[[str], Path], kernel: Path, tmp_path: Path
) -> None:
    """For a program that it executes itself, in request_module()."""
    port = lab.free_port()
    done = life("exit all", program("helper.c"), port, tmp_path)
    assert "exited with 0" in done.console
    (released,) = done.step("released", how="kernel_wait")
    assert "kworker" in released["comm"] and released["task"] == released["process"]
    (row,) = [row for row in done.table if row["pid"] == released["task"]]
    assert row["name"] == "true" and row["released_by"].endswith("in kernel_wait()")
    assert lab.leaks(port) == []


def test_none_lost_none_twice(storm: Life) -> None:
    """8 threads wait for 20 children each, on two processors."""
    words = [line.split() for line in storm.console.splitlines()]
    children = {int(w[1]): (int(w[3]), int(w[4])) for w in words if w[:1] == ["child"]}
    threads = [int(w[1]) for w in words if w[:1] == ["thread"]]
    (process,) = (int(w[1]) for w in words if w[:1] == ["process"])
    assert len(children) == 160 and len(threads) == 8
    assert len({status for _, status in children.values()}) > 20
    everyone = Counter([*children, *threads, process])
    assert Counter(event["tid"] for event in storm.step("ends")) == everyone
    assert Counter(event["task"] for event in storm.step("released")) == everyone
    processes = Counter([*children, process])
    for step in ("memory", "reported"):
        assert Counter(one["process"] for one in storm.step(step)) == processes, step
    waited = storm.step("waited")
    assert {one["child"]: (one["tid"], one["status"]) for one in waited} == children
    assert len(waited) == 160
    for one in storm.step("reported"):
        if one["process"] in children:
            assert one["status"] == children[one["process"]][1]
            assert one["parent"] == process
    assert {event["cpu"] for event in storm.events} == {0, 1}
    assert "Not all could be read" not in storm.ended
