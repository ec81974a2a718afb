# SPDX-License-Identifier: GPL-2.0-only
"""lab trace fault compared with programs that know their faults, and with getrusage()."""

from __future__ import annotations

import bisect
import re
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from support import labs
from support.traces import Event, Trace, Traced

PAGE = 4096
SIZE = 70_000  # bytes of the file on the host
SIGNALS = {11: "SIGSEGV", 7: "SIGBUS"}
CODES = {(11, 1): "SEGV_MAPERR", (11, 2): "SEGV_ACCERR", (7, 2): "BUS_ADRERR"}
ROUNDS = 15
LIMIT = "fault --limit 100000"
Run = Callable[..., Trace]


@pytest.fixture(scope="module")
def run(traced: Traced) -> Run:
    """Trace the faults of a program with arguments."""

    def started(source: str, *arguments: object) -> Trace:
        return traced(LIMIT, source, ARGS=",".join(map(str, arguments)))

    return started


@pytest.fixture(scope="module")
def on_the_host() -> Iterator[str]:
    """The path in the guest of a file that it reads from the host."""
    file = labs.BUILD / "share" / f"fault-{labs.free_port()}"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(bytes(SIZE))
    try:
        yield f"/mnt/host_share/{file.name}"
    finally:
        file.unlink()


@pytest.fixture(scope="module")
def kinds(run: Run, on_the_host: str) -> Trace:
    """A fault of each kind."""
    found = run("fault_kinds.c", on_the_host)
    assert "FAILED" not in found.console and "exited with 0" in found.console
    return found


@pytest.fixture(scope="module", params=[(8, 24), (2, 40)], ids=["8 threads", "races"])
def threads(request: pytest.FixtureRequest, run: Run) -> Trace:
    """Threads that touch their own and the same pages at once, on two processors."""
    found = run("fault_threads.c", *request.param)
    assert "FAILED" not in found.console and "exited with 0" in found.console
    return found


def printed(found: Trace, word: str) -> list[list[str]]:
    """Return the values in the program's lines that begin with a word."""
    return [line.split() for line in re.findall(rf"^{word} (.*)$", found.console, re.M)]


def main_of(found: Trace) -> int:
    """Return the thread that the guest started."""
    return min(event["tid"] for event in found.events)


def at(found: Trace, address: int) -> list[Event]:
    """Return the faults at a page."""
    return [e for e in found.events if e["address"] // PAGE == address // PAGE]


@pytest.fixture(scope="module")
def ways(run: Run) -> Trace:
    """Faults that end differently from similar ones."""
    found = run("fault_ways.c")
    assert "FAILED" not in found.console and "exited with 0" in found.console
    return found


@pytest.fixture(scope="module")
def turns(run: Run) -> Trace:
    """Files that take turns at an address."""
    found = run("fault_turns.c")
    assert "FAILED" not in found.console and "exited with 0" in found.console
    return found


def announced(found: Trace) -> dict[int, list[tuple[int, str, str, str]]]:
    """Return, by page, thread, access, mode and kind that the program announced."""
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


def check_kinds(found: Trace) -> int:
    """Every fault that the program announced happened, and no other; returns their number."""
    wanted = announced(found)
    for page, faults in wanted.items():
        seen = [
            (e["tid"], e["access"], e["mode"], e["kind"])
            for e in without_other_ways(at(found, page))
        ]
        assert len(seen) == len(faults), (hex(page), seen, faults)
        for got, fault in zip(seen, faults):
            assert got[:3] == fault[:3] and got[3] in fault[3].split("|"), hex(page)
    return len(wanted)


def without_other_ways(events: list[Event]) -> list[Event]:
    """The kernel may copy in another way: the same fault by other instructions."""
    first = [e for e in events if e["kind"] == "fixup"][:1]
    others = [e for e in events if e["kind"] == "fixup"][1:]
    tried = {(e["tid"], e["access"], e["syscall"]) for e in first + others}
    assert len(tried) == len(first)
    assert len({e["ip"] for e in first + others}) == len(first + others)
    return [e for e in events if e not in others]


def test_every_fault_is_of_the_kind_that_was_made(kinds: Trace) -> None:
    assert check_kinds(kinds) > 25


def test_every_kind_was_there(kinds: Trace) -> None:
    """And the summary counts what was shown."""
    shown = Counter(event["kind"] for event in kinds.events)
    pages: Counter[str] = Counter()
    for event in kinds.events:
        pages[event["kind"]] += len(event["pages"])
    table = kinds.parts[0]["rows"]
    assert {row["kind"]: row["faults"] for row in table} == shown
    assert {row["kind"]: row["pages"] for row in table} == {k: pages[k] for k in shown}
    made = {kind for faults in announced(kinds).values() for *_, kind in faults}
    assert {kind for kinds in made for kind in kinds.split("|")[:1]} - set(shown) <= {
        *("made writable", "huge page made writable")  # or a reference makes it a copy
    }
    assert shown["stack growth"] == 1


def test_entries_before_and_after(kinds: Trace, ways: Trace) -> None:
    """What an entry shows must match what is reported to have happened."""
    for event in kinds.events + ways.events:
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
        copies = ("copy on write", "huge page of the pool copied")
        if kind in (*copies, "shared write") or kind.endswith("made writable"):
            assert not new and not before["entry"] & 2
            assert (before["pfn"] == after["pfn"]) == (kind not in copies)
        else:
            assert new
        if "zero page" in kind:
            assert after["use"] == "zero" and not after["entry"] & 2
        if kind in ("new page", "private copy", "copy on write"):
            assert after["use"] == "anonymous"
        if kind == "stack growth":
            written = event["access"] == "write"
            assert after["use"] == ("anonymous" if written else "zero")


def test_pages_around_a_page_of_a_file(kinds: Trace) -> None:
    """The first read of a file of 16 pages: the pages around it need no fault."""
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


def test_the_functions_are_called(
    kinds: Trace,
    on_the_host: str,
    program: Callable[[str], Path],
    vmlinux: Path,
    port: int,
    tmp_path: Path,
) -> None:
    """What an event names is entered so often, by breakpoints in a run of its own.

    Where gdb has an inlined function begin need not be executed: those exist at least.
    """
    named = Counter(event["function"] for event in kinds.events)
    called = labs.inside(
        "fault_functions.py",
        port,
        tmp_path,
        sorted(named),
        before=("source gdb/seginfo.py",),
        PROGRAM=program("fault_kinds.c"),
        ARGS=on_the_host,
    )
    assert set(called) == set(named) and None not in called.values()
    symbols = {name for names in symbol_table(vmlinux).values() for name in names}
    counted = symbols & set(named) - {"wp_page_copy"}  # or made writable, see above
    assert len(counted) >= 8
    for function in counted:
        assert called[function] >= named[function], function


def test_the_stack_grows(kinds: Trace) -> None:
    ((here,),) = printed(kinds, "grow")
    (event,) = [e for e in kinds.events if e["kind"] == "stack growth"]
    assert event["area"]["name"] == "[stack]" and event["inside"].startswith("grow+")
    assert 300 * 1024 <= int(here, 16) - event["address"] < 310 * 1024
    assert event["area"]["start"] == event["address"] & -PAGE
    assert "the area grows down by" in event["what"]
    assert event["what"].count("new page of zeros") == 1


def test_signals_are_what_the_handler_gets(kinds: Trace) -> None:
    handled = [e for e in kinds.events if e["kind"] == "signal" and e["handler"]]
    wanted = [
        (int(address, 16), SIGNALS[int(number)], CODES[int(number), int(code)])
        for address, number, code in printed(kinds, "signal")
    ]
    assert len(wanted) == 6
    assert [(e["address"], e["signal"], e["code"]) for e in handled] == wanted


def test_a_child_that_dies_of_it(kinds: Trace) -> None:
    ((pid, number),) = printed(kinds, "died")
    (last,) = [e for e in kinds.events if e["tid"] == int(pid)][-1:]
    assert last["signal"] == SIGNALS[int(number)] == "SIGSEGV"
    assert last["handler"] == 0 and "which ends the process" in last["what"]


def test_functions_of_the_program(kinds: Trace) -> None:
    """The program touches pages in functions with these names."""
    touched = [
        e for page in announced(kinds) for e in at(kinds, page) if e["mode"] == "user"
    ]
    names = Counter(event["inside"].partition("+")[0] for event in touched)
    assert names["reads"] >= 5 and names["writes"] >= 10 and names["wrong"] == 5
    executed = [e for e in touched if e["access"] == "execute"]
    assert executed and all(e["ip"] == e["address"] for e in executed)


def test_functions_of_the_kernel(kinds: Trace, vmlinux: Path) -> None:
    """Their names as in nm, and in the call that the program made."""
    events = [
        e for page in announced(kinds) for e in at(kinds, page) if e["mode"] == "kernel"
    ]
    assert {event["syscall"] for event in events} == {"pread64", "pwrite64"}
    symbols = symbol_table(vmlinux)
    starts = sorted(symbols)
    for event in events:
        start = starts[bisect.bisect_right(starts, event["ip"]) - 1]
        function, offset = event["inside"].partition("/")[0].split("+")
        assert function in symbols[start] and int(offset, 16) == event["ip"] - start


def symbol_table(vmlinux: Path) -> dict[int, set[str]]:
    """Return the names of the functions at each address, from nm."""
    found: dict[int, set[str]] = {}
    for line in labs.run("nm", vmlinux).stdout.splitlines():
        address, kind, name = line.rsplit(maxsplit=2)
        if kind in "tTwW":
            found.setdefault(int(address, 16), set()).add(name)
    return found


# --- Ways ------------------------------------------------------------------------


def test_every_fault_is_as_it_was_announced(ways: Trace) -> None:
    assert check_kinds(ways) == 10


def test_what_the_kernel_does_another_way(ways: Trace) -> None:
    """An unresolved fault of the kernel does not imply EFAULT."""
    fixups = [e for e in ways.events if e["kind"] == "fixup"]
    assert [e["syscall"] for e in fixups] == ["futex", "open"]
    futex, string = fixups
    for event in fixups:
        assert "not resolved, the kernel goes on" in event["what"]
        assert "EFAULT" not in event["what"] and "bad address" not in event["what"]
    assert futex["area"]["perms"] == "rw-p" and "anonymous rw-p:" in futex["what"]
    (row,) = [row for row in ways.table if row["kind"] == "fixup"]
    assert row["faults"] == 2 and row["meaning"].endswith("EFAULT, or another way")
    # The stack is the next area above, but no stack may become that large
    assert string["area"] is None and "in no area:" in string["what"]
    assert string["address"] % PAGE == 0 and string["inside"].startswith("strncpy")


def test_an_area_grows_for_a_read_or_a_write(ways: Trace) -> None:
    stack, other = [e for e in ways.events if e["kind"] == "stack growth"]
    for event, (address, size) in zip((stack, other), printed(ways, "grows")):
        assert event["address"] == int(address, 16) == event["area"]["start"]
        grown = f"the area grows down by {int(size) // 1024} KiB, "
        assert grown in event["what"]
    assert stack["area"]["name"] == "[stack]" and other["area"]["name"] == ""
    assert (stack["access"], stack["after"]["use"]) == ("read", "zero")
    assert "KiB, the zero page, since it is only read;" in stack["what"]
    assert not stack["after"]["entry"] & 2
    assert (other["access"], other["after"]["use"]) == ("write", "anonymous")
    assert "KiB, new page of zeros;" in other["what"]
    (refused,) = [e for e in ways.events if e["kind"] == "signal"]
    assert "below anonymous rw-p: SIGSEGV, SEGV_MAPERR" in refused["what"]


def test_who_has_a_page_of_a_huge_one(ways: Trace) -> None:
    """Mapped as a whole, by a page table, or both."""
    mapped = [
        (int(address, 16), int(count)) for address, count in printed(ways, "mapped")
    ]
    copied = [e for e in ways.events if e["kind"] == "copy on write"]
    mine = [e for e in copied if e["address"] in dict(mapped)]
    assert [(e["address"], e["before"]["holders"]) for e in mine] == mapped
    assert sorted(count for _, count in mapped) == [1, 1, 2, 2]
    for event, (_, count) in zip(mine, mapped):
        why = f"copied, {count} address spaces have it;"
        if count == 1:
            why = "copied, its huge page is used elsewhere too ("
        assert why in event["what"]


# --- Turns -----------------------------------------------------------------------


@pytest.mark.once
def test_another_file_at_the_same_address(turns: Trace) -> None:
    """In one process: the area has the name of the new file, and so has its code."""
    lines = printed(turns, "turn")
    assert len(lines) == 8 and len({address for address, _ in lines}) == 1
    executed = [
        (f"{e['address']:#x}", e["area"]["name"], e["inside"])
        for e in turns.events
        if e["access"] == "execute" and e["address"] == int(lines[0][0], 16)
    ]
    assert executed == [(address, name, f"{name}+0x0") for address, name in lines]
    for event in turns.events:
        if event["area"] and event["area"]["name"]:
            assert f", {event['area']['name']} " in event["what"].partition(":")[0]


@pytest.mark.once
def test_another_program_at_the_same_addresses(turns: Trace) -> None:
    lines = printed(turns, "run")
    assert len(lines) == 8 and len({name for _, name in lines}) == 2
    for pid, name in lines:
        files = [
            e["area"]["name"]
            for e in turns.of(int(pid))
            if e["comm"] == Path(name).name and e["area"]
        ]
        files = [file for file in files if file.startswith("/")]
        assert len(files) > 16 and set(files) == {name}


# --- Counters -------------------------------------------------------------------


def test_faults_between_two_marks_are_those_of_getrusage(kinds: Trace) -> None:
    """What the program read about itself is what the events carry, and their sum."""
    (first,), (last,) = printed(kinds, "first"), printed(kinds, "last")
    ((populated,),) = printed(kinds, "populated")
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
    """Return the rows of the summary, by thread."""
    return {row["tid"]: row for row in found.parts[1]["rows"]}


def test_what_is_counted_without_a_fault(kinds: Trace) -> None:
    ((populated,),) = printed(kinds, "populated")
    rows = table_of_counts(kinds)
    assert rows.pop(main_of(kinds))["without_fault"] == int(populated)
    assert rows and all(row["without_fault"] == 0 for row in rows.values())


@pytest.mark.once
def test_every_thread_counts_what_getrusage_says(threads: Trace) -> None:
    rows = table_of_counts(threads)
    lines = printed(threads, "thread")
    assert lines
    for tid, faults in lines:
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


@pytest.mark.once
def test_every_page_is_mapped_once(threads: Trace) -> None:
    mapped = Counter(page for event in threads.events for page in event["pages"])
    for word in ("own", "common", "split", "file"):
        for start, count in printed(threads, word):
            pages = range(int(start, 16), int(start, 16) + int(count) * PAGE, PAGE)
            assert {mapped[page] for page in pages} == {1}, word


@pytest.mark.once
def test_a_page_of_one_thread_is_its_own_fault(threads: Trace) -> None:
    tids = [int(tid) for tid, _ in printed(threads, "thread")]
    for tid, (start, count) in zip(tids, printed(threads, "own")):
        for page in range(int(start, 16), int(start, 16) + int(count) * PAGE, PAGE):
            (event,) = at(threads, page)
            assert event["tid"] == tid
            assert event["kind"] in ("new page", "huge page")


@pytest.mark.once
def test_whoever_comes_second_finds_it_done(threads: Trace) -> None:
    """It says by whom if that fault ended first; if not, the page came before."""
    late = [e for e in threads.events if e["kind"] == "already there"]
    for event in late:
        assert event["counted"] == 1
        page = event["address"] & -PAGE
        (done,) = [event for event in threads.events if page in event["pages"]]
        assert done["tid"] != event["tid"] and event["pages"] == []
        if event["by"]:
            assert event["by"] == done["tid"] and done["number"] < event["number"]
        else:
            assert event["before"]["entry"] & 1
    if len(printed(threads, "thread")) == 2:  # they were made to meet
        assert late


@pytest.fixture(scope="module")
def churn(run: Run) -> Trace:
    """Threads that fault while others change the areas of the process."""
    found = run("fault_churn.c", 8, ROUNDS)
    assert "FAILED" not in found.console and "exited with 0" in found.console
    return found


def test_nothing_is_lost_while_areas_come_and_go(churn: Trace) -> None:
    rows = table_of_counts(churn)
    lines = printed(churn, "thread")
    assert len(lines) == 8
    for tid, faults in lines:
        row, events = rows[int(tid)], churn.of(int(tid))
        assert row["without_fault"] == 0 and row["counted"] >= int(faults)
        kinds = Counter(e["kind"] for e in events if e["inside"].startswith("work+"))
        assert kinds["new page"] + kinds["zero page"] >= 2 * ROUNDS
        assert kinds["new page"] >= ROUNDS
    assert "Not all could be read" not in churn.ended


@pytest.mark.once
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


@pytest.mark.once
def test_a_thread_that_executes_has_a_row_of_its_own(run: Run) -> None:
    """It then has the first thread's id, but not its counters."""
    found = run("fault_exec.c")
    ((other,),), ((after,),) = printed(found, "other"), printed(found, "after")
    rows = found.parts[1]["rows"]
    assert [row["tid"] for row in rows] == [main_of(found)] * 2 + [int(other)]
    old, new, thread = (row["min_flt"] + row["maj_flt"] for row in rows)
    assert old > 200 and int(after) <= new + thread < 100
    for row in rows:
        kernels = row["min_flt"] + row["maj_flt"] - row["counted"]
        assert row["without_fault"] == kernels >= 0
    # Strings of the new program are copied to a page that nobody else touches
    assert [row["without_fault"] > 0 for row in rows] == [False, True, False]
    assert sum(row["faults"] for row in rows) == len(found.events)


# --- The scenario program ---------------------------------------------------------


@pytest.mark.once
def test_the_scenario_shows_what_it_says(traced: Traced) -> None:
    found = traced("fault", labs.USER / "trace-fault")
    assert "every touch came out as it should" in found.console
    steps = {
        "anonymous": ["zero page", "copy on write", "new page"],
        "private_file": ["file page", "copy on write"],
        "shared_file": ["shared page"],
        "use_deep_stack": ["stack growth"],
        "huge_page": ["huge page"],
        "touch_wrongly": ["signal"] * 3,
    }
    # A fork shares the stack's pages too, and it is random who writes first
    shared = ("copy on write", "made writable")
    events = [
        event
        for event in found.events
        if not (event["kind"] in shared and event["area"]["name"] == "[stack]")
    ]
    for step, kinds in steps.items():
        mine = [e for e in events if e["inside"].partition("+")[0] == step]
        touched = [e["kind"] for e in mine if e["access"] != "execute"]
        touched = [
            kind for kind in touched if step != "touch_wrongly" or kind == "signal"
        ]
        assert touched == kinds, step
    mine = [e for e in events if e["inside"].startswith("after_fork+")]
    forked = [e["kind"] for e in mine if e["access"] != "execute"]
    assert forked[:2] == ["new page", "copy on write"]
    assert forked[2:] in (["made writable"], ["copy on write"])
    rows = table_of_counts(found).values()
    assert all(row["without_fault"] == 0 for row in rows)


@pytest.mark.once
def test_the_text_says_the_same(port: int) -> None:
    program = labs.USER / "trace-fault"
    text = labs.debug(port, "source gdb/seginfo.py", "lab trace fault", PROGRAM=program)
    assert "; in use_deep_stack+" in text and "the area grows down by" in text
    assert re.search(
        r"read 0x\w+, anonymous rw-p: the zero page, since it is only read; "
        r"\w+ 0 -> (?:pte )?0x\w+ r--; in anonymous\+",
        text,
    )
    assert "new page tables (pud, pmd, pte): pgd was empty" in text
    assert (
        "SIGBUS, BUS_ADRERR (the area has no page to show there), its handler" in text
    )
    assert "every followed process has ended" in text
