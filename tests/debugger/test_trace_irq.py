# SPDX-License-Identifier: GPL-2.0-only
"""lab trace irq compared with the kernel's own counts and with what lab_contexts prints.

One guest, tests/guest/programs/interrupts.c, in which every interrupt is traced between two
marks; test_record.py has the one in a recording.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Callable

import pytest

from support import labs
from support.traces import ARMED, Event, Line, Trace, check_kinds

Counts = dict[str, list[int]]
MOST_RESTARTS = 10  # of softirqs in one go: MAX_SOFTIRQ_RESTART


@pytest.fixture(scope="module")
def found(
    kernel: Path,
    program: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """The answers of tests/debugger/in_gdb/irq_trace.py, and the console."""
    port, folder = labs.free_port(), tmp_path_factory.mktemp("interrupts")
    settings: dict[str, Any] = {"PROGRAM": program("interrupts.c"), "SMP": 2}
    answers = labs.inside("irq_trace.py", port, folder, None, ARMED, **settings)
    assert labs.leaks(port) == []
    events, *parts = answers["trace"]
    check_kinds("irq", events["data"])
    return answers | {"trace": Trace(events["data"], parts, labs.console_log(port))}


@pytest.fixture(scope="module")
def trace(found: dict[str, Any]) -> Trace:
    whole: Trace = found["trace"]
    return whole


def grown(found: dict[str, Any]) -> Counter[tuple[str, int]]:
    """How often the kernel has counted each interrupt and softirq between the marks."""
    before: Counts = found["before"]
    after: Counts = found["after"]
    return +Counter(
        {
            (name, cpu): now - (before[name][cpu] if name in before else 0)
            for name, counts in after.items()
            for cpu, now in enumerate(counts)
        }
    )


def test_ends_at_the_mark_and_reads_all(trace: Trace) -> None:
    assert trace.ended.endswith("; the guest is at your breakpoint 2.")


def test_each_interrupt_is_told_once(found: dict[str, Any], trace: Trace) -> None:
    """As the kernel counts them, on each CPU; a shootdown of TLBs is no interrupt.

    At both marks another CPU may be in one whose handler has not counted it yet.
    """
    told: dict[tuple[str, int], list[int]] = defaultdict(list)
    for event in trace.step("interrupt"):
        told[event["interrupt"], event["cpu"]].append(event["count"])
    softirqs = {line["name"] for line in softirq_lines(trace)}
    under_way: Counter[int] = Counter()
    for (name, cpu), count in grown(found).items():
        if name not in softirqs | {"TLB"} and (name, cpu) not in told:
            under_way[cpu] += count
    for (name, cpu), counts in told.items():
        first = counts[0] - (
            found["before"][name][cpu] if name in found["before"] else 0
        )
        last = found["after"][name][cpu] - counts[-1]
        assert first in (0, 1) and last in (0, 1), (name, cpu, first, last)
        under_way[cpu] += first + (1 - last)
    assert max(under_way.values(), default=0) <= 2
    assert sum(map(len, told.values())) > 20
    assert {name for name, _ in told} >= {"LOC", "IWI"}


def test_counts_go_up_by_one(trace: Trace) -> None:
    own: dict[tuple[str, int], list[int]] = defaultdict(list)
    for event in trace.step("interrupt"):
        own[event["interrupt"], event["cpu"]].append(event["count"])
    for counts in own.values():
        assert counts == list(range(counts[0], counts[0] + len(counts)))


def test_each_softirq_is_told_once(found: dict[str, Any], trace: Trace) -> None:
    """From one event to the next none is left out, but for those under way at a mark."""
    now: dict[tuple[str, int], int] = {}
    told: Counter[tuple[str, int]] = Counter()
    for event in trace.step("softirqs"):
        for name, times in event["softirqs"].items():
            key, count = (name, event["cpu"]), event["counts"][name]
            assert now.get(key, count - times) == count - times, event
            now[key] = count
            told[key] += times
    softirqs = {line["name"] for line in softirq_lines(trace)}
    counted = {key: n for key, n in grown(found).items() if key[0] in softirqs}
    for key, count in counted.items():
        left_out = count - told.pop(key, 0)
        assert 0 <= left_out <= 2 * MOST_RESTARTS, key
        if key[0] == "TASKLET":
            assert left_out == 0 and count == 1
    assert not told


def softirq_lines(trace: Trace) -> list[Line]:
    """The program's lines of /proc/softirqs."""
    lines = trace.lines("before")
    start = next(i for i, line in enumerate(lines) if line["name"] == "HI")
    return lines[start:]


def test_the_kernel_shows_these_counts(found: dict[str, Any], trace: Trace) -> None:
    """In /proc: not more before the first mark, not less after the second one."""
    for when, sign in (("before", 1), ("after", -1)):
        lines = {line["name"]: line["counts"] for line in trace.lines(when)}
        ours: Counts = found[when]
        assert {name for name in ours if any(ours[name])} <= {*lines}
        for name, counts in ours.items():
            shown = [int(number) for number in lines[name].split(",") if number]
            assert len(shown) == len(counts), name
            assert all(
                sign * own >= sign * seen for own, seen in zip(counts, shown)
            ), name


def test_lab_contexts_is_interrupted_as_it_asks(trace: Trace) -> None:
    """Its two irq_works: one for itself, one that raises an interrupt with a thread."""
    loader = [event for event in trace.events if event["comm"] == "program"]
    works = [event for event in loader if event.get("interrupt") == "IWI"]
    assert len(works) == 2
    for event in works:
        assert event["mode"] == "kernel" and event["context"] == "process"
        assert event["place"].startswith("arch_irq_work_raise+")
        assert event["function"] == "sysvec_irq_work" and event["vector"] == 0xF6
    (handled,) = [
        event
        for event in trace.step("handlers")
        if "hard_handler [lab_contexts]" in event["handlers"]
    ]
    assert handled["result"] == "IRQ_WAKE_THREAD"
    (thread,) = handled["threads"]
    assert re.fullmatch(r"irq/\d+-lab_cont \d+: threaded_handler \[.*\]", thread)


def test_vectors_and_places(trace: Trace) -> None:
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
        assert event["instructions"] is None and event["raised"] is None
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
    lines = re.findall(r"^ +\d+\.\d{6} +\d  (\S+) \d+ .*$", output, re.M)
    assert len(lines) == 12 and {*lines} <= {"init", "program"}, output
    assert "the limit of 12 events is reached." in output
    assert "How long an interrupt takes" in output
