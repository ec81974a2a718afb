# SPDX-License-Identifier: GPL-2.0-only
"""lab trace irq compared with the kernel's own counts and with what lab_contexts does.

The guest runs tests/guest/programs/interrupts.c, in which every interrupt between two marks
is traced: live on two CPUs, up to a limit, for on a busy machine ticks may leave the guest no
time; and in a recording to the end.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from support import labs, recordings
from support.traces import ARMED, Event, Trace, check_kinds

Counts = dict[str, list[int]]
SOFTIRQS = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED")
SOFTIRQS += ("HRTIMER", "RCU")  # softirq_to_name[]


def answers(found: dict[str, Any], console: str) -> dict[str, Any]:
    """Return the answers of tests/debugger/in_gdb/irq_trace.py with the trace as a Trace."""
    events, *parts = found["trace"]
    check_kinds("irq", events["data"])
    return found | {"trace": Trace(events["data"], parts, console)}


@pytest.fixture(scope="module")
def live(
    kernel: Path,
    program: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """All interrupts of two CPUs, but 250 events at most."""
    port, folder = labs.free_port(), tmp_path_factory.mktemp("interrupts")
    settings: dict[str, Any] = {"PROGRAM": program("interrupts.c"), "SMP": 2}
    found = labs.inside("irq_trace.py", port, folder, 250, ARMED, **settings)
    assert labs.leaks(port) == []
    return answers(found, labs.console_log(port))


@pytest.fixture(scope="module")
def recorded(
    kernel: Path,
    program: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """All interrupts of a recording between the marks."""
    folder = tmp_path_factory.mktemp("recorded")
    recording, port = folder / "recording", labs.free_port()
    recordings.whole(recording, port, PROGRAM=program("interrupts.c"))
    console = (recording / "console.log").read_text(errors="replace").replace("\r", "")
    found = recordings.inside("irq_trace.py", recording, port, folder, 9000)
    yield answers(found, console)
    shutil.rmtree(recording)


@pytest.fixture(params=["live", "recorded"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    whole: dict[str, Any] = request.getfixturevalue(request.param)
    return whole


@pytest.fixture
def trace(found: dict[str, Any]) -> Trace:
    whole: Trace = found["trace"]
    return whole


def of_cpus(events: list[Event]) -> dict[tuple[str, int], list[int]]:
    """Return the kernel's count before each interrupt, by its name and CPU."""
    own: dict[tuple[str, int], list[int]] = defaultdict(list)
    for event in events:
        own[event["interrupt"], event["cpu"]].append(event["count"])
    return own


def test_ends_at_the_mark_and_reads_all(
    live: dict[str, Any], recorded: dict[str, Any]
) -> None:
    assert re.search(
        r"; the guest is at your breakpoint \d\.$", recorded["trace"].ended
    )
    ends = (
        r"; (the guest is at your breakpoint \d|the limit of 250 events is reached)\.$"
    )
    assert re.search(ends, live["trace"].ended)


def test_each_interrupt_is_told_once(found: dict[str, Any], trace: Trace) -> None:
    """As the kernel counts them, on each CPU; a shootdown of TLBs is no interrupt.

    At a mark the other CPU may have entered one that is not counted yet.
    """
    traced = of_cpus(trace.step("interrupt"))
    softirqs = set(SOFTIRQS)
    assert sum(map(len, traced.values())) > 10
    for name, after in found["after"].items():
        before = found["before"].get(name, [0] * len(after))
        for cpu, (first, last) in enumerate(zip(before, after)):
            counts = traced.pop((name, cpu), None)
            if name in softirqs | {"TLB"}:
                assert counts is None
            elif counts is None:
                assert last - first in (0, 1), (name, cpu)
            else:
                assert counts == list(range(counts[0], counts[-1] + 1)), (name, cpu)
                assert counts[0] - first in (0, 1), (name, cpu)
                assert counts[-1] + 1 - last in (0, 1), (name, cpu)
    assert not traced


def test_each_softirq_is_told_once(found: dict[str, Any], trace: Trace) -> None:
    """As the kernel counts them, on each CPU, from the end of one batch to the next.

    At a mark the other CPU may be in a batch, in which each runs 10 times at most.
    """
    at: dict[tuple[str, int], int] = {}
    for event in trace.step("softirqs"):
        assert event["softirqs"].keys() == event["counts"].keys()
        for name, times in event["softirqs"].items():
            key = name, event["cpu"]
            begun = event["counts"][name] - times
            if key in at:
                assert begun == at[key], event
            else:
                assert 0 <= begun - found["before"][name][event["cpu"]] <= 10, event
            at[key] = event["counts"][name]
    for name in SOFTIRQS:
        for cpu, last in enumerate(found["after"].get(name, [])):
            known = at.get((name, cpu), found["before"].get(name, [0, 0])[cpu])
            assert 0 <= last - known <= 10, (name, cpu)


def test_the_kernel_shows_these_counts(recorded: dict[str, Any]) -> None:
    """In /proc: not more before the first mark, not less after the second one."""
    for when, sign in (("before", 1), ("after", -1)):
        trace: Trace = recorded["trace"]
        lines = {line["name"]: line["counts"] for line in trace.lines(when)}
        ours: Counts = recorded[when]
        assert {*SOFTIRQS} < {*lines}
        assert {name for name in ours if any(ours[name])} <= {*lines}
        for name, counts in ours.items():
            shown = [int(number) for number in lines[name].split(",") if number]
            assert len(shown) == len(counts), name
            assert all(
                sign * own >= sign * seen for own, seen in zip(counts, shown)
            ), name


def test_lab_contexts_is_interrupted_as_it_asks(recorded: dict[str, Any]) -> None:
    """Its two irq_works: one for itself, one that raises an interrupt with a thread."""
    trace: Trace = recorded["trace"]
    ran = [event["softirqs"].get("TASKLET", 0) for event in trace.step("softirqs")]
    assert sum(ran) == 1
    loader = [event for event in trace.events if event["comm"] == "program"]
    works = [event for event in loader if event.get("interrupt") == "IWI"]
    assert len(works) == 2
    for event in works:
        assert event["mode"] == "kernel" and event["context"] == "process"
        # At once, or a few instructions later
        assert re.match("default_send_IPI_self|arch_irq_work_raise", event["place"])
        assert event["function"] == "sysvec_irq_work" and event["vector"] == 0xF6
    (handled,) = [
        event
        for event in trace.step("handlers")
        if "hard_handler [lab_contexts]" in event["handlers"]
    ]
    assert handled["result"] == "IRQ_WAKE_THREAD"
    (thread,) = handled["threads"]
    assert re.fullmatch(r"irq/\d+-lab_cont \d+: threaded_handler \[.*\]", thread)


def test_vectors_and_places(found: dict[str, Any], trace: Trace) -> None:
    """Of arch/x86/include/asm/irq_vectors.h; a device's vector is between those."""
    known = {"LOC": 0xEC, "RES": 0xFD, "IWI": 0xF6}
    events: list[Event] = trace.step("interrupt")
    for event in events:
        name = event["interrupt"]
        if name in known:
            assert event["vector"] == known[name]
        elif name == "CAL":
            assert event["vector"] in (0xFB, 0xFC)
        else:
            assert name.isdigit() and 0x20 <= event["vector"] < 0xEC
        assert (event["ip"] >> 63 == 1) == (event["mode"] == "kernel")
        seen_to_its_end = len(found["after"]["TIMER"]) == 1 and name != "RES"
        assert (event["instructions"] is not None) == seen_to_its_end
        assert (event["raised"] is not None) == seen_to_its_end
        if event["tid"] == 0 and event["context"] == "process":
            assert event["mode"] == "kernel" and " while it is idle" in event["what"]
    assert {event["mode"] for event in events} >= {"kernel"}


def test_what_softirqs_follow(trace: Trace) -> None:
    for event in trace.step("softirqs"):
        if event["after"] == "ksoftirqd":
            assert event["comm"] == f"ksoftirqd/{event['cpu']}"
        elif event["after"]:
            earlier = [
                other
                for other in trace.step("interrupt")
                if other["cpu"] == event["cpu"]
                and other["context"] == "process"
                and other["number"] < event["number"]
            ]
            if earlier:
                name = earlier[-1]["interrupt"]
                assert event["after"] in (name, f"IRQ {name}"), event


def test_summary(trace: Trace) -> None:
    interrupts, softirqs, *_ = trace.parts
    events = trace.step("interrupt")
    assert sum(row["times"] for row in interrupts["rows"]) == len(events)
    for row in interrupts["rows"]:
        places = ("in_user_mode", "in_kernel", "in_softirqs", "idle")
        assert row["times"] == sum(row[place] for place in places)
        own = [
            e
            for e in events
            if row["interrupt"] in (e["interrupt"], f"IRQ {e['interrupt']}")
        ]
        assert row["times"] == len(own)
        softly = [event for event in own if event["context"] == "softirq"]
        assert row["in_softirqs"] == len(softly)
    for row in softirqs["rows"]:
        ran = [e["softirqs"].get(row["softirq"], 0) for e in trace.step("softirqs")]
        assert row["times"] == sum(ran)
        ways = ("after_interrupts", "in_ksoftirqd", "otherwise")
        assert row["times"] == sum(row[way] for way in ways)


def test_only_what_interrupts_the_followed_process(
    kernel: Path, program: Callable[[str], Path], port: int
) -> None:
    """As text, with the program followed from its start on, up to a limit."""
    output = labs.debug(
        port,
        *ARMED,
        "lab trace irq /lab/program --limit 12",
        PROGRAM=program("interrupts.c"),
    )
    # Its name may be half of that before: an exec is interrupted, too
    tids = re.findall(r"^ +\d+\.\d{6} +\d  \S+ (\d+) .*$", output, re.M)
    assert len(tids) == 12 and len({*tids}) == 1, output
    assert "the limit of 12 events is reached." in output
    assert "How long an interrupt takes" in output
