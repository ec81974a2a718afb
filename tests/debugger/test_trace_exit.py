# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exit compared with what the programs print about themselves and their children."""

from __future__ import annotations

import errno
import signal
from collections import Counter

import pytest

from support.traces import Event, Trace, Traced, traced_once

deaths = traced_once("exit", "deaths.c")
traced_ones = traced_once("exit", "deaths_traced.c")
shared = traced_once("exit", "deaths_shared.c")
storm = traced_once("exit", "family_storm.c")


def own_process(deaths: Trace) -> int:
    """Return the program's own process id."""
    (line,) = deaths.lines("self")
    return int(line["process"])


def ended(deaths: Trace, name: str) -> int:
    """Return the child that ended in some way."""
    (line,) = [line for line in deaths.lines("ended") if line["name"] == name]
    return int(line["child"])


def reported(deaths: Trace, child: int) -> Event:
    """Return the event that reports a child's zombie."""
    (event,) = deaths.step("reported", process=child)
    return event


def kinds(deaths: Trace, process: int) -> list[Event]:
    """Return the ends of all threads of a process."""
    return deaths.step("ends", process=process)


def test_ends_by_itself_and_reads_all(deaths: Trace) -> None:
    assert deaths.ended.endswith("every followed process has ended.")
    assert "exited with 0" in deaths.console


def test_statuses(deaths: Trace) -> None:
    """They are those of wait() and /proc, and the events are in order."""
    lines = deaths.lines("ended")
    assert len(lines) == 14
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
        # The C library's macros agreed with the lab's words
        texts = {zombie["status_text"], first["status_text"], second["status_text"]}
        assert texts == {status_text(status)}
        last = kinds(deaths, child)[-1]
        order = [last, zombie, first, released, second]
        assert [event["number"] for event in order] == sorted(
            event["number"] for event in order
        )


def status_text(status: int) -> str:
    """Return a wait status in words."""
    if status & 0x7F:
        return f"killed by {signal.Signals(status & 0x7F).name}"
    return f"exit status {status >> 8}"


def test_exit_and_exit_group(deaths: Trace) -> None:
    (alone,) = kinds(deaths, ended(deaths, "exit"))
    assert alone["call"] == "exit_group" and alone["code"] == 3 << 8
    assert alone["what"].startswith("exit_group(4099): process ")
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


def threads(deaths: Trace, process: int) -> list[int]:
    """Return the threads of a process besides the first, as they printed themselves."""
    lines = deaths.lines("thread")
    return [int(line["id"]) for line in lines if int(line["process"]) == process]


@pytest.mark.parametrize("name, count", [("exit_group", 4), ("fault", 2), ("exec", 3)])
def test_threads_that_are_killed(deaths: Trace, name: str, count: int) -> None:
    process = ended(deaths, name)
    expected = set(threads(deaths, process))
    (kills,) = deaths.step("kills", process=process)
    if name == "exec":  # the thread that executes is left, the first one is not
        expected |= {process}
    assert set(kills["threads"]) == expected and len(expected) == count
    assert kills["number"] < min(event["number"] for event in kinds(deaths, process))


def test_a_signal_kills_every_thread(deaths: Trace) -> None:
    process = ended(deaths, "kill")
    (kills,) = deaths.step("kills", process=process)
    assert kills["function"] == "complete_signal"
    assert set(kills["threads"]) == {process, *threads(deaths, process)}
    ends = kinds(deaths, process)
    assert len(ends) == 4
    assert {event["code"] for event in ends} == {signal.SIGKILL}
    assert all(event["call"] == "" for event in ends)


def test_a_fault_is_not_an_exec(deaths: Trace) -> None:
    """Until v5.17 the thread that dumps core looked much like one in execve()."""
    for event in kinds(deaths, ended(deaths, "fault")):
        assert event["what"].startswith("SIGSEGV: ")
        assert "go" not in event["what"].split("; ")[-1]


def test_a_timer_kills(deaths: Trace) -> None:
    for name, context in (("alarm", "hardirq"), ("term", "process")):
        (kills,) = deaths.step("kills", process=ended(deaths, name))
        assert kills["context"] == context
        assert ("that interrupts" in kills["what"]) == (name == "alarm")


def test_no_core_dump_of_a_secret(deaths: Trace) -> None:
    """Then do_group_exit() kills the other threads, and they die once."""
    process = ended(deaths, "secret")
    first, second = deaths.step("kills", process=process)
    assert first["threads"] == [] and not first["dumps"]
    assert "leaves no core dump: " in first["what"]
    assert second["what"].startswith("SIGSEGV ends the whole process: 2 threads get")
    assert set(second["threads"]) == set(threads(deaths, process))
    assert len(kinds(deaths, process)) == 3
    (other,) = deaths.step("kills", process=ended(deaths, "fault"))
    assert other["dumps"] and "may leave a core dump: 2 threads get" in other["what"]


def test_a_signal_behind_a_failed_exec(deaths: Trace) -> None:
    (line,) = deaths.lines("behind_exec")
    (kills,) = deaths.step("kills", process=int(line["child"]))
    assert kills["threads"] == threads(deaths, int(line["child"]))
    assert kills["what"].startswith("SIGTERM ends the whole process")


def test_the_first_thread_may_end_first(deaths: Trace) -> None:
    process = ended(deaths, "leader_first")
    first, last = kinds(deaths, process)
    assert first["tid"] == process and first["others"] == 1 and first["leader"]
    assert last["others"] == 0 and not last["leader"]
    assert reported(deaths, process)["tid"] == last["tid"]
    (released,) = deaths.step("released", task=last["tid"])
    assert released["how"] == "itself"


def test_exec_of_a_thread(deaths: Trace) -> None:
    """It takes the process's id; its own id is then the first thread's."""
    process = ended(deaths, "exec")
    ends = kinds(deaths, process)
    assert len(ends) == 4  # three that were killed, and the process itself
    assert ends[-1]["tid"] == process and ends[-1]["code"] == 9 << 8
    assert [event["tid"] for event in ends].count(process) == 2
    (taken,) = deaths.step("released", how="execve")
    assert taken["process"] == process and taken["task"] != process
    assert len(deaths.step("released", task=process)) == 1


def test_memory(deaths: Trace) -> None:
    """Every address space is released once, by the last process that runs in it."""
    for line in deaths.lines("ended"):
        process = int(line["child"])
        *by_exec, memory = deaths.step("memory", process=process)
        assert len(by_exec) == (line["name"] == "exec")  # that of the old program
        assert not memory["executes"] and all(event["executes"] for event in by_exec)
        last = kinds(deaths, process)[-1]
        assert last["number"] < memory["number"] < reported(deaths, process)["number"]
        assert memory["areas"] >= 8 and memory["pages"] > 20
        assert last["mm_users"] >= 1
    mms = [event["mm"] for event in deaths.step("memory")]
    assert len(mms) > 11


def test_memory_of_a_vfork_child(deaths: Trace) -> None:
    """The address space is its parent's."""
    (line,) = deaths.lines("vforked")
    child = int(line["child"])
    assert len(kinds(deaths, child)) == 1
    assert deaths.step("memory", process=child) == []


def memories(shared: Trace, name: str) -> tuple[dict[str, int], list[Event]]:
    """Return the processes that share a memory in some way, and the events of its end."""
    (line,) = [line for line in shared.lines("shared") if line["name"] == name]
    pids = {key: int(line[key]) for key in ("owner", "guest", "second")}
    found = shared.step("memory")
    return pids, [event for event in found if event["process"] in pids.values()]


@pytest.mark.once
@pytest.mark.parametrize("name", ["sibling", "orphan"])
def test_memory_of_guests(shared: Trace, name: str) -> None:
    """Their parents do not tell that it is the owner's."""
    pids, (memory,) = memories(shared, name)
    assert memory["process"] == memory["tid"] == pids["owner"]
    assert not memory["executes"]
    for pid in filter(None, pids.values()):
        (end,) = kinds(shared, pid)
        assert end["number"] < memory["number"]


@pytest.mark.once
def test_memory_without_its_owner(shared: Trace) -> None:
    pids, (memory,) = memories(shared, "outlived")
    assert memory["process"] == pids["owner"] and memory["tid"] == pids["guest"]
    assert memory["number"] > reported(shared, pids["owner"])["number"]
    # An owner that executes a program has a new memory, the guest keeps this one
    pids, (first, second) = memories(shared, "left")
    assert first["process"] == first["tid"] == pids["owner"]
    assert second["process"] == second["tid"] == pids["guest"]
    assert first["mm"] != second["mm"] and not first["executes"]
    assert "every followed process has ended" in shared.ended


def test_orphans(deaths: Trace) -> None:
    lines = deaths.lines("orphan")
    assert [line["name"] for line in lines] == ["init", "subreaper"]
    for line in lines:
        (event,) = deaths.step("adopted", child=int(line["child"]))
        assert event["tid"] == int(line["before"])
        assert event["parent"] == int(line["after"])
        assert event["by_init"] == (line["name"] == "init")
        (end,) = kinds(deaths, int(line["before"]))
        assert end["children"] == [int(line["child"])]


def test_a_zombie_is_adopted(deaths: Trace) -> None:
    (line,) = deaths.lines("inherited")
    child = int(line["child"])
    first, second = deaths.step("reported", process=child)
    (adopted,) = deaths.step("adopted", child=child)
    assert first["parent"] == ended(deaths, "zombie") == adopted["tid"]
    assert second["parent"] == adopted["parent"] == own_process(deaths)
    assert first["status"] == second["status"] == int(line["status"])
    assert first["number"] < adopted["number"] < second["number"]


def test_a_tracer_ends(deaths: Trace) -> None:
    """The zombie has the parent it had before."""
    (line,) = deaths.lines("traced")
    child, tracer = int(line["child"]), int(line["tracer"])
    first, second = deaths.step("reported", process=child)
    assert first["parent"] == tracer and "for its tracer" in first["what"]
    assert second["parent"] == own_process(deaths) and second["tid"] == tracer
    assert f"{tracer} traces it no more" in second["what"]
    assert deaths.step("adopted", child=child) == []


@pytest.mark.once
def test_traced_threads(traced_ones: Trace) -> None:
    """A tracer is told about each thread; the end of a process is reported once."""
    lines = traced_ones.lines("traced")
    assert {line["name"] for line in lines} == {"thread_first", "leader_first", "exec"}
    (me,) = (int(line["process"]) for line in traced_ones.lines("self"))
    for line in lines:
        child, status = int(line["child"]), int(line["status"])
        zombie = reported(traced_ones, child)
        assert zombie["zombie"] and zombie["status"] == status
        assert zombie["status_text"] == status_text(status)
        assert zombie["parent"] == me and zombie["signal"] == signal.SIGCHLD
        events = traced_ones.step("tracer told", process=child)
        assert {event["tracer"] for event in events} == {me}
        assert {event["signal"] for event in events} == {signal.SIGCHLD}
        assert all(event["number"] < zombie["number"] for event in events)
        # For every thread that was waited for, and for no others but first threads
        waited = Counter(
            int(line["task"])
            for line in traced_ones.lines("reaped")
            if int(line["process"]) == child
        )
        first = 0 if line["name"] == "thread_first" else 1
        assert Counter(event["task"] for event in events) == waited - Counter(
            [child]
        ) + Counter({child: first})
        for task in waited:
            (released,) = traced_ones.step("released", task=task)
            assert released["by"] == me and released["how"] == "wait4"


@pytest.mark.once
def test_a_traced_thread_ends_first(traced_ones: Trace) -> None:
    (line,) = [x for x in traced_ones.lines("traced") if x["name"] == "thread_first"]
    child = int(line["child"])
    assert int(line["status"]) == 6 << 8
    (thread,) = threads(traced_ones, child)
    (event,) = traced_ones.step("tracer told", process=child)
    assert event["what"].startswith(f"thread {thread} is a zombie now; SIGCHLD for ")
    assert reported(traced_ones, child)["tid"] == child


@pytest.mark.once
def test_the_tracer_ends_the_last_thread(traced_ones: Trace) -> None:
    """The process is reported to its parent by whoever waits for the last of its threads."""
    (line,) = [x for x in traced_ones.lines("traced") if x["name"] == "leader_first"]
    child = int(line["child"])
    (me,) = (int(line["process"]) for line in traced_ones.lines("self"))
    zombie = reported(traced_ones, child)
    assert zombie["tid"] == me
    assert zombie["what"].startswith(f"its last other thread is gone: process {child} ")
    first, _ = traced_ones.step("tracer told", process=child)
    assert first["task"] == child
    assert first["what"].startswith("the first thread is a zombie now; SIGCHLD for ")


@pytest.mark.once
def test_a_traced_thread_executes(traced_ones: Trace) -> None:
    (line,) = [x for x in traced_ones.lines("traced") if x["name"] == "exec"]
    child = int(line["child"])
    assert int(line["status"]) == 9 << 8
    (taken,) = traced_ones.step("released", how="execve")
    assert taken["process"] == child
    zombie = reported(traced_ones, child)
    assert zombie["tid"] == child and zombie["comm"] == "exe"
    assert taken["number"] < zombie["number"]


@pytest.mark.once
def test_another_traces_the_last_thread(traced_ones: Trace) -> None:
    lines = traced_ones.lines("last_traced")
    assert [line["name"] for line in lines] == ["waited", "ignored"]
    for line in lines:
        child, thread, tracer = (int(line[x]) for x in ("child", "thread", "tracer"))
        ignored = line["name"] == "ignored"
        event = reported(traced_ones, child)
        assert event["tid"] == tracer and event["zombie"] != ignored
        assert event["what"].startswith(
            f"its last other thread is gone: process {child}"
        )
        if not ignored:
            assert event["status"] == int(line["status"])
        (told_event,) = traced_ones.step("tracer told", process=child)
        assert told_event["task"] == thread and told_event["tracer"] == tracer
        (released,) = traced_ones.step("released", task=child)
        assert released["how"] == ("its last thread" if ignored else "wait4")
    assert "every followed process has ended" in traced_ones.ended
    assert "exited with 0" in traced_ones.console


def test_nobody_asks(deaths: Trace) -> None:
    lines = deaths.lines("unasked")
    assert {line["name"] for line in lines} == {
        *("ignored", "leader_first", "nocldwait", "again")
    } and len(lines) == 9
    for line in lines:
        child, name = int(line["child"]), line["name"]
        event = reported(deaths, child)
        assert not event["zombie"]
        assert event["signal"] == (signal.SIGCHLD if name == "nocldwait" else 0)
        reason = "has SA_NOCLDWAIT" if name == "nocldwait" else "ignores SIGCHLD"
        assert event["what"].endswith(reason)
        (released,) = deaths.step("released", task=child)
        alone = name in ("ignored", "nocldwait")
        assert released["how"] == ("itself" if alone else "its last thread")
        # A task is not excluded just because it has the address of one that is gone
        assert [event["others"] for event in kinds(deaths, child)] == [1, 0][alone:]
    failed = [e for e in deaths.step("waited") if e["result"] == -errno.ECHILD]
    assert len(failed) == 9


def test_summary(deaths: Trace) -> None:
    rows = {row["pid"]: row for row in deaths.table}
    assert len(rows) == len(deaths.table)
    for line in deaths.lines("ended"):
        row = rows[int(line["child"])]
        assert row["ended"] == status_text(int(line["status"]))
        assert row["released_by"].endswith(f" {own_process(deaths)} in wait4()")
    assert own_process(deaths) in rows


def test_the_kernel_waits(traced: Traced) -> None:
    """For a program that it executes itself, in request_module()."""
    done = traced("exit all --limit 9000", "helper.c", SMP=2)
    assert "exited with 0" in done.console
    (released,) = done.step("released", how="kernel_wait")
    assert "kworker" in released["comm"] and released["task"] == released["process"]
    (row,) = [row for row in done.table if row["pid"] == released["task"]]
    assert row["name"] == "true" and row["released_by"].endswith("in kernel_wait()")


@pytest.mark.once
@pytest.mark.slow
def test_none_lost_none_twice(storm: Trace) -> None:
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
        assert (
            Counter(event["process"] for event in storm.step(step)) == processes
        ), step
    waited = storm.step("waited")
    assert {
        event["child"]: (event["tid"], event["status"]) for event in waited
    } == children
    assert len(waited) == 160
    for report in storm.step("reported"):
        if report["process"] in children:
            assert report["status"] == children[report["process"]][1]
            assert report["parent"] == process
    assert {event["cpu"] for event in storm.events} == {0, 1}
    assert "Not all could be read" not in storm.ended
