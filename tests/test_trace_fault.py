# SPDX-License-Identifier: GPL-2.0-only
"""lab trace fault against programs that know their faults, and getrusage()."""

from __future__ import annotations

import bisect
import re
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import lab
import pytest
from timelines import Event, Trace, trace

PAGE = 4096
SIZE = 70_000  # bytes of the file on the host
SIGNALS = {11: "SIGSEGV", 7: "SIGBUS"}
CODES = {(11, 1): "SEGV_MAPERR", (11, 2): "SEGV_ACCERR", (7, 2): "BUS_ADRERR"}
ROUNDS = 15
LIMIT = "fault --limit 100000"
Run = Callable[..., Trace]


@pytest.fixture(scope="module")
def run(
    program: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Trace the faults of a program with arguments."""

    def started(source: str, *arguments: object) -> Trace:
        port = lab.free_port()
        settings = {"PROGRAM": program(source), "ARGS": ",".join(map(str, arguments))}
        try:
            return trace(LIMIT, port, tmp_path_factory.mktemp("fault"), **settings)
        finally:
            assert lab.leaks(port) == []

    return started


@pytest.fixture(scope="module")
def kinds(run: Run) -> Iterator[Trace]:
    """A fault of each kind, with a file that the guest reads from the host."""
    file = lab.BUILD / "share" / f"fault-{lab.free_port()}"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(bytes(SIZE))
    try:
        found = run("fault_kinds.c", f"/mnt/host_share/{file.name}")
    finally:
        file.unlink()
    assert "FAILED" not in found.console and "exited with 0" in found.console
    yield found


@pytest.fixture(scope="module", params=[(8, 24), (2, 40)], ids=["8 threads", "races"])
def threads(request: pytest.FixtureRequest, run: Run) -> Trace:
    """Threads that touch their own and the same pages at once, on two processors."""
    found = run("fault_threads.c", *request.param)
    assert "FAILED" not in found.console and "exited with 0" in found.console
    return found


def said(found: Trace, word: str) -> list[list[str]]:
    """What the program said of one sort."""
    return [line.split() for line in re.findall(rf"^{word} (.*)$", found.console, re.M)]


def main_of(found: Trace) -> int:
    """The thread that the guest started."""
    return min(event["tid"] for event in found.events)


def at(found: Trace, address: int) -> list[Event]:
    """The faults at a page."""
    return [e for e in found.events if e["address"] // PAGE == address // PAGE]


def announced(found: Trace) -> dict[int, list[tuple[int, str, str, str]]]:
    """By page: thread, access, mode and kind that the program said would come."""
    pages: dict[int, list[tuple[int, str, str, str]]] = {}
    tid = main_of(found)
    for line in found.console.splitlines():
        word, *rest = line.split() or [""]
        if word == "child":
            tid = int(rest[0])
        elif word == "died":
            tid = main_of(found)
        elif word == "touch":
            address, access, mode, *kind = rest
            page = int(address, 16) & -PAGE
            pages.setdefault(page, []).append((tid, access, mode, " ".join(kind)))
    return pages


# --- Kinds ---------------------------------------------------------------------


def test_every_fault_is_of_the_kind_that_was_made(kinds: Trace) -> None:
    wanted = announced(kinds)
    assert len(wanted) > 25
    for page, faults in wanted.items():
        events = at(kinds, page)
        seen = [(e["tid"], e["access"], e["mode"], e["kind"]) for e in events]
        if "fixup" in seen[-1]:  # the kernel may try another way to copy
            seen = seen[:1] + [one for one in seen[1:] if one != seen[0]]
        assert len(seen) == len(faults), (hex(page), seen, faults)
        for got, one in zip(seen, faults):
            assert got[:3] == one[:3] and got[3] in one[3].split("|"), hex(page)


def test_every_kind_was_there(kinds: Trace) -> None:
    """And what the summary counts is what was shown."""
    shown = Counter(event["kind"] for event in kinds.events)
    pages: Counter[str] = Counter()
    for event in kinds.events:
        pages[event["kind"]] += len(event["pages"])
    table = kinds.parts[0]["rows"]
    assert {row["kind"]: row["faults"] for row in table} == shown
    assert {row["kind"]: row["pages"] for row in table} == {k: pages[k] for k in shown}
    made = {kind for faults in announced(kinds).values() for *_, kind in faults}
    assert {kind for one in made for kind in one.split("|")[:1]} - set(shown) <= {
        "made writable"  # where a reference of the kernel's makes it a copy
    }
    assert shown["stack growth"] == 1


def test_entries_before_and_after(kinds: Trace) -> None:
    """What an entry says has to fit what is said to have happened."""
    for event in kinds.events:
        before, after, kind = event["before"], event["after"], event["kind"]
        if kind in ("signal", "fixup", "emulated"):
            assert before["entry"] == after["entry"]
            assert event["pages"] == [] and event.get("counted", 0) == 0
            continue
        assert event["pages"][0] == event["address"] & -PAGE
        assert after["entry"] & 1 and after["pfn"] is not None
        if event["access"] == "write":
            assert after["entry"] & 2
        new = not before["entry"]
        if kind in ("copy on write", "made writable", "shared write"):
            assert not new and not before["entry"] & 2
            assert (before["pfn"] == after["pfn"]) == (kind != "copy on write")
        else:
            assert new
        if "zero page" in kind:
            assert after["use"] == "zero" and not after["entry"] & 2
        if kind in ("new page", "private copy", "copy on write", "stack growth"):
            assert after["use"] == "anonymous"


def test_pages_around_a_page_of_a_file(kinds: Trace) -> None:
    """The first read of a file of 16 pages; the next pages of it need no fault."""
    (first, *_) = [
        e for e in kinds.events if e["area"] and e["area"]["name"].endswith("kinds.txt")
    ]
    start = first["area"]["start"]
    pages = range(start, start + 16 * PAGE, PAGE)
    in_table = {page for page in pages if page >> 21 == start >> 21}
    assert first["kind"] == "file page" and first["before"]["page_cache"]
    assert set(first["pages"]) == in_table and len(in_table) > 1


def test_what_is_read_from_storage_is_major(kinds: Trace) -> None:
    (read,) = [
        e
        for e in kinds.events
        if e["area"] and e["area"]["name"].startswith("/mnt/host_share/fault-")
    ]
    assert read["major"] and not read["before"]["page_cache"]
    assert read["after"]["page_cache"] and "read from storage" in read["what"]
    others = [e for e in kinds.events if "read from storage" in e["what"]]
    assert others == [read]


def test_the_stack_grows(kinds: Trace) -> None:
    ((here,),) = said(kinds, "grow")
    (event,) = [e for e in kinds.events if e["kind"] == "stack growth"]
    assert event["area"]["name"] == "[stack]" and event["inside"].startswith("grow+")
    assert 300 * 1024 <= int(here, 16) - event["address"] < 310 * 1024
    assert event["area"]["start"] == event["address"] & -PAGE
    assert "the stack grows by" in event["what"]


def test_signals_are_what_the_handler_gets(kinds: Trace) -> None:
    handled = [e for e in kinds.events if e["kind"] == "signal" and e["handler"]]
    wanted = [
        (int(address, 16), SIGNALS[int(number)], CODES[int(number), int(code)])
        for address, number, code in said(kinds, "signal")
    ]
    assert len(wanted) == 6
    assert [(e["address"], e["signal"], e["code"]) for e in handled] == wanted


def test_a_child_that_dies_of_it(kinds: Trace) -> None:
    ((pid, number),) = said(kinds, "died")
    (last,) = [e for e in kinds.events if e["tid"] == int(pid)][-1:]
    assert last["signal"] == SIGNALS[int(number)] == "SIGSEGV"
    assert last["handler"] == 0 and "which ends the process" in last["what"]


def test_functions_of_the_program(kinds: Trace) -> None:
    """Where the program touches by functions of these names."""
    touched = [
        e for page in announced(kinds) for e in at(kinds, page) if e["mode"] == "user"
    ]
    names = Counter(event["inside"].partition("+")[0] for event in touched)
    assert names["reads"] >= 5 and names["writes"] >= 10 and names["wrong"] == 5
    executed = [e for e in touched if e["access"] == "execute"]
    assert executed and all(e["ip"] == e["address"] for e in executed)


def test_functions_of_the_kernel(kinds: Trace, vmlinux: Path) -> None:
    """As nm tells them, and in the call that the program made."""
    events = [
        e for page in announced(kinds) for e in at(kinds, page) if e["mode"] == "kernel"
    ]
    assert {event["syscall"] for event in events} == {"pread64", "pwrite64"}
    symbols = symbol_table(vmlinux)
    starts = sorted(symbols)
    for event in events:
        start = starts[bisect.bisect_right(starts, event["ip"]) - 1]
        function, _, offset = event["inside"].partition("+")
        assert function in symbols[start] and int(offset, 16) == event["ip"] - start


def symbol_table(vmlinux: Path) -> dict[int, set[str]]:
    """The names of the functions that start at an address, as nm has them."""
    found: dict[int, set[str]] = {}
    for line in lab.run("nm", vmlinux).stdout.splitlines():
        address, kind, name = line.rsplit(maxsplit=2)
        if kind in "tTwW":
            found.setdefault(int(address, 16), set()).add(name)
    return found


# --- Counters -------------------------------------------------------------------


def test_faults_between_two_marks_are_those_of_getrusage(kinds: Trace) -> None:
    """What the program read of itself is what the events carry, and their sum."""
    (first,), (last,) = said(kinds, "first"), said(kinds, "last")
    ((populated,),) = said(kinds, "populated")
    tid = main_of(kinds)
    mine = [e for e in kinds.events if e["tid"] == tid]
    places = {}
    for name, (address, minor, major) in (("first", first), ("last", last)):
        (event,) = at(kinds, int(address, 16))
        before = event["before"]
        assert (before["min_flt"], before["maj_flt"]) == (int(minor), int(major))
        places[name] = mine.index(event)
    between = mine[places["first"] : places["last"]]
    counted = sum(int(last[i]) - int(first[i]) for i in (1, 2))
    assert counted == sum(e.get("counted", 0) for e in between) + int(populated)
    majors = int(last[2]) - int(first[2])
    assert majors == sum(e.get("major", False) for e in between) > 0


def table_of_counts(found: Trace) -> dict[int, dict[str, Any]]:
    """The rows of the summary by thread."""
    return {row["tid"]: row for row in found.parts[1]["rows"]}


def test_what_is_counted_without_a_fault(kinds: Trace) -> None:
    ((populated,),) = said(kinds, "populated")
    rows = table_of_counts(kinds)
    assert rows.pop(main_of(kinds))["without_fault"] == int(populated)
    assert rows and all(row["without_fault"] == 0 for row in rows.values())


def test_every_thread_counts_what_getrusage_says(threads: Trace) -> None:
    rows = table_of_counts(threads)
    told = said(threads, "thread")
    assert told
    for tid, faults in told:
        events = threads.of(int(tid))
        during = [
            e
            for e in events
            if sum(e["before"][f"{m}_flt"] for m in ("min", "maj")) < int(faults)
        ]
        assert sum(e["counted"] for e in during) == int(faults)
        row = rows[int(tid)]
        assert row["counted"] == row["min_flt"] + row["maj_flt"] >= int(faults)
        assert row["without_fault"] == 0


# --- Threads ---------------------------------------------------------------------


def test_every_page_is_mapped_once(threads: Trace) -> None:
    mapped = Counter(page for event in threads.events for page in event["pages"])
    for word in ("own", "common", "split", "file"):
        for start, count in said(threads, word):
            pages = range(int(start, 16), int(start, 16) + int(count) * PAGE, PAGE)
            assert {mapped[page] for page in pages} == {1}, word


def test_a_page_of_one_thread_is_its_own_fault(threads: Trace) -> None:
    told = [int(tid) for tid, _ in said(threads, "thread")]
    for tid, (start, count) in zip(told, said(threads, "own")):
        for page in range(int(start, 16), int(start, 16) + int(count) * PAGE, PAGE):
            (event,) = at(threads, page)
            assert event["tid"] == tid
            assert event["kind"] in ("new page", "huge page")


def test_whoever_comes_second_finds_it_done(threads: Trace) -> None:
    """By whom is said if that one's fault ended first; if not, the page came before."""
    late = [e for e in threads.events if e["kind"] == "already there"]
    for event in late:
        assert event["counted"] == 1
        page = event["address"] & -PAGE
        (done,) = [one for one in threads.events if page in one["pages"]]
        assert done["tid"] != event["tid"] and event["pages"] == []
        if event["by"]:
            assert event["by"] == done["tid"] and done["number"] < event["number"]
        else:
            assert event["before"]["entry"] & 1
    if len(said(threads, "thread")) == 2:  # they were made to meet
        assert late


@pytest.fixture(scope="module")
def churn(run: Run) -> Trace:
    """Threads that fault while others change the areas of the process."""
    found = run("fault_churn.c", 8, ROUNDS)
    assert "FAILED" not in found.console and "exited with 0" in found.console
    return found


def test_nothing_is_lost_while_areas_come_and_go(churn: Trace) -> None:
    rows = table_of_counts(churn)
    told = said(churn, "thread")
    assert len(told) == 8
    for tid, faults in told:
        row, events = rows[int(tid)], churn.of(int(tid))
        assert row["without_fault"] == 0 and row["counted"] >= int(faults)
        kinds = Counter(e["kind"] for e in events if e["inside"].startswith("work+"))
        assert kinds["new page"] + kinds["zero page"] >= 2 * ROUNDS
        assert kinds["new page"] >= ROUNDS
    assert "Not all could be read" not in churn.ended


def test_a_fault_in_which_a_task_ends_is_counted(run: Run) -> None:
    """The kernel's own counters, read in do_exit(), say how many there were."""
    found = run("fault_exit.c", 8, 20)
    assert "FAILED" not in found.console and "exited with 0" in found.console
    rows = table_of_counts(found)
    assert len(rows) == 9
    for tid, row in rows.items():
        assert row["counted"] == row["min_flt"] + row["maj_flt"], row
        assert row["faults"] == len(found.of(tid))
    assert "Not all could be read" not in found.ended
    ended = [e for e in found.events if "the task ends" in e["what"]]
    assert all(e["kind"] == "killed" or e["counted"] == 1 for e in ended)


# --- The scenario program ---------------------------------------------------------


def test_the_scenario_shows_what_it_says(port: int, tmp_path: Path) -> None:
    found = trace("fault", port, tmp_path, PROGRAM=lab.USER / "trace-fault")
    assert "every touch came out as it should" in found.console
    steps = {
        "anonymous": ["zero page", "copy on write", "new page"],
        "private_file": ["file page", "copy on write"],
        "shared_file": ["shared page"],
        "use_deep_stack": ["stack growth"],
        "huge_page": ["huge page"],
        "touch_wrongly": ["signal"] * 3,
    }
    for step, kinds in steps.items():
        mine = [e for e in found.events if e["inside"].partition("+")[0] == step]
        touched = [e["kind"] for e in mine if e["access"] != "execute"]
        touched = [
            kind for kind in touched if step != "touch_wrongly" or kind == "signal"
        ]
        assert touched == kinds, step
    mine = [e for e in found.events if e["inside"].startswith("after_fork+")]
    forked = [e["kind"] for e in mine if e["access"] != "execute"]
    assert forked[:2] == ["new page", "copy on write"]
    assert forked[2:] in (["made writable"], ["copy on write"])
    rows = table_of_counts(found).values()
    assert all(row["without_fault"] == 0 for row in rows)


def test_the_text_says_the_same(port: int) -> None:
    program = lab.USER / "trace-fault"
    text = lab.debug(port, "source gdb/seginfo.py", "lab trace fault", PROGRAM=program)
    assert "; in use_deep_stack+" in text and "the stack grows by" in text
    assert re.search(
        r"read 0x\w+, anonymous rw-p: the zero page, .* pte 0x0|-> 0x\w+ r--", text
    )
    assert "new page tables (pud, pmd, pte): pgd was empty" in text
    assert (
        "SIGBUS, BUS_ADRERR (the area has no page to show there), its handler" in text
    )
    assert "every followed process has ended" in text
