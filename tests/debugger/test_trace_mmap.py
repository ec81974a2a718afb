# SPDX-License-Identifier: GPL-2.0-only
"""lab trace mmap compared with /proc/PID/maps at each step, and with concurrent threads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import labs
from support.traces import ARMED, Event, Trace, Traced

PAGE = 4096
ROUNDS, THREADS = 60, 8
TOGETHER = 20  # rounds for each, if there are many threads
EACCES, EINVAL = -13, -22
Areas = dict[int, tuple[int, str, str]]  # start: end, permissions, name


@pytest.fixture(scope="module")
def alone(traced: Traced) -> Trace:
    """A program with one working thread that shows its maps after every step."""
    return traced("mmap", "mappings.c", ARGS=f"1,{ROUNDS}")


@pytest.fixture(scope="module")
def together(traced: Traced) -> Trace:
    """The same with eight threads at once."""
    return traced("mmap --limit 5000", "mappings.c", ARGS=f"{THREADS},{TOGETHER}")


def maps(console: str) -> list[Areas]:
    """Return what the program showed of /proc/self/maps, step by step."""
    found = []
    for text in re.findall(r"^step \d+\n(.*?)^end$", console, re.DOTALL | re.MULTILINE):
        areas = {}
        for line in text.splitlines():
            place, perms, _, _, _, *name = line.split(maxsplit=5)
            start, end = (int(number, 16) for number in place.split("-"))
            areas[start] = (end, perms, "".join(name))
        found.append({k: v for k, v in areas.items() if v[2] != "[vsyscall]"})
    return found


def is_mark(event: Event) -> bool:
    return event["call"] == "munmap" and event["result"] == EINVAL


def applied(areas: Areas, event: Event) -> Areas:
    """Apply an event's changes to the areas, which must match each."""
    areas = dict(areas)
    for change in event["changes"]:
        if change["kind"] == "boundary":
            continue
        for old in change["before"]:
            assert areas.pop(old["start"]) == (old["end"], old["perms"], old["name"])
        for new in change["after"]:
            assert new["start"] not in areas
            areas[new["start"]] = (new["end"], new["perms"], new["name"])
    return areas


def test_every_step_leads_to_what_the_kernel_says(alone: Trace) -> None:
    shown = maps(alone.console)
    assert len(shown) == ROUNDS + 2
    areas, step, changed = None, 0, 0
    for event in alone.events:
        if is_mark(event):
            assert event["arguments"][0] == step * PAGE
            assert areas is None or areas == shown[step], f"step {step}"
            areas, step = shown[step], step + 1
        elif areas is not None:
            areas = applied(areas, event)
            changed += bool(event["changes"])
    assert step == ROUNDS + 2 and changed > ROUNDS / 2


def test_all_kinds_of_change_happened(alone: Trace) -> None:
    kinds = {change["kind"] for event in alone.events for change in event["changes"]}
    assert {"added", "removed", "grown", "shrunk", "split", "merged"} <= kinds


def test_the_chosen_address_is_the_one_returned(alone: Trace) -> None:
    chosen = [e for e in alone.events if e["call"] == "mmap" and e["result"] > 0]
    assert chosen
    for event in chosen:
        assert event["chosen"] == event["result"]


def test_nothing_is_lost_and_nothing_twice(together: Trace) -> None:
    made = re.findall(r"thread (\d+) made (\d+) calls", together.console)
    assert len(made) == THREADS
    marks = [n for n, event in enumerate(together.events) if is_mark(event)]
    assert len(marks) == 2
    between = together.events[marks[0] + 1 : marks[1]]
    tids = sorted({event["tid"] for event in between})
    counted = [sum(event["tid"] == tid for event in between) for tid in tids]
    assert counted == [int(count) for _, count in made]


def test_changes_of_threads_add_up(together: Trace) -> None:
    """In the order in which mmap_lock was released they lead to the last maps."""
    first, last = maps(together.console)
    marks = [event for event in together.events if is_mark(event)]
    between = [
        event
        for event in together.events
        if marks[0]["order"] < event["order"] < marks[1]["order"]
    ]
    areas = first
    for event in sorted(between, key=lambda event: event["order"]):
        areas = applied(areas, event)
    assert areas == last


@pytest.fixture(scope="module")
def scenario(traced: Traced) -> Trace:
    """The program of user/ for this timeline."""
    return traced("mmap", labs.USER / "trace-mmap")


@pytest.mark.once
def test_malloc_is_told_apart(scenario: Trace) -> None:
    """A small block by brk(), a large one by mmap(), the threshold between them."""
    of_main = [e for e in scenario.events if "main" in e["caller"]]
    assert {e["call"] for e in of_main if e["malloc"] == "malloc"} == {"brk", "mmap"}
    (large,) = [e for e in of_main if e["malloc"] == "malloc" and e["call"] == "mmap"]
    assert large["arguments"][1] >= large["mmap_threshold"] == 128 * 1024
    (freed,) = [e for e in of_main if e["malloc"] == "free" and e["call"] == "munmap"]
    assert freed["arguments"][0] == large["result"]
    grown = [e for e in of_main if e["malloc"] == "malloc" and e["call"] == "brk"]
    moves = [c for e in grown for c in e["changes"] if c["kind"] == "boundary"]
    assert moves and all(move["after"] > move["before"] for move in moves)


@pytest.mark.once
def test_the_scenario_shows_each_kind(scenario: Trace) -> None:
    assert "lab: /lab/program exited with 0" in scenario.console
    steps = [
        (event["call"], tuple(change["kind"] for change in event["changes"]))
        for event in scenario.events
        if "main" in event["caller"] and not event["malloc"]
    ]
    expected = [
        *(("mmap", ("added",)), ("mmap", ("grown",))),
        *(("mprotect", ("split",)), ("mprotect", ("merged",))),
        *(("munmap", ("split",)), ("munmap", ("removed", "removed"))),
    ]
    assert steps[: len(expected)] == expected
    (kinds,) = [kinds for call, kinds in steps if call == "mremap"]
    assert sorted(kinds) == ["added", "shrunk"]
    assert steps[-1] == ("mmap", ())  # more than there is


@pytest.mark.once
def test_what_a_change_is_called(port: int, tmp_path: Path) -> None:
    """Made-up areas; each case is named by the expected kind."""
    found = labs.inside("changes.py", port, tmp_path, before=ARMED)
    for name, changes in found.items():
        expected = name.split(",")[0]
        kinds = {"nothing": [], "removed and added": ["removed", "added"]}
        assert [kind for kind, _ in changes] == kinds.get(expected, [expected]), name
    assert found["flagged"][0][1] == "changed 1000-3000 rw-p 8 KiB: VM_LOCKED set"
    assert found["protected"][0][1] == "protected 1000-3000 r--p 8 KiB, was rw-p"
    assert found["replaced, another page of the file"][0][1] == (
        "replaced 1000-2000 r--p 4 KiB /file by 1000-2000 r--p 4 KiB /file"
    )


def test_what_was_there_is_gone(traced: Traced) -> None:
    """MAP_FIXED and MREMAP_FIXED, even if the areas look the same afterwards."""
    found = traced("mmap", "fixed.c")
    places = {
        line["name"]: (int(line["at"], 16), int(line["covered"]))
        for line in found.lines("fixed")
    }
    assert len(places) == 5
    for name, (address, covered) in places.items():
        (event,) = [
            event
            for event in found.events
            if event["result"] == address and event["covered"] == covered
        ]
        kinds = [change["kind"] for change in event["changes"]]
        if name == "beside":
            assert covered == 0 and "in place" not in event["what"]
        else:
            assert "replaced" in kinds, (name, kinds)
            assert f"in place of {covered // 1024} KiB" in event["what"]
    (denied,) = [event for event in found.events if event["result"] == EACCES]
    assert denied["changes"] == [] and denied["covered"] == 0
    (hint,) = found.lines("hint")
    asked, got = int(hint["asked"], 16), int(hint["got"], 16)
    assert asked != got
    assert any(
        f"at {got:x}, as wished with {asked:x}" in e["what"] for e in found.events
    )


@pytest.mark.once
def test_changes_of_other_calls_are_not_told(traced: Traced) -> None:
    """A second thread changes areas with madvise(), which is not followed."""
    found = traced("mmap", "madvises.c")
    assert "lab: /lab/program exited with 0" in found.console
    size = 64 * PAGE
    mapped = [e for e in found.events if e["arguments"][1:2] == [size]]
    assert len(mapped) == 2 * ROUNDS
    for event in mapped:
        (change,) = event["changes"]
        before, after = change["before"], change["after"]
        gained = sum(p["end"] - p["start"] for p in after)
        lost = sum(p["end"] - p["start"] for p in before)
        assert gained - lost == (size if event["call"] == "mmap" else -size)
        assert len(before) + len(after) <= 3, change


@pytest.mark.once
def test_a_heap_of_a_thread_is_no_large_block(traced: Traced) -> None:
    found = traced("mmap", "arena.c")
    of_thread = [event for event in found.events if event["tid"] != event["pid"]]
    (heap,) = [e for e in of_thread if e["malloc"] and e["call"] == "mmap"]
    assert heap["arguments"][1] > heap["mmap_threshold"]
    assert heap["lines"][0].endswith(
        ": a heap for this thread, however small the block"
    )
