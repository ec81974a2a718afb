# SPDX-License-Identifier: GPL-2.0-only
"""lab trace pages compared with what modules print, /proc/buddyinfo and the free counts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

import pytest

from support import guest_modules, labs
from support.traces import Trace, Traced

KIB = 1 << 10
LARGEST = 10


@pytest.fixture(scope="module")
def split(traced: Traced, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """The module lab_pages on one CPU, and /proc/buddyinfo around it."""
    lines = ["cat /proc/buddyinfo", "insmod /lib/modules/lab_pages.ko"]
    lines += ["cat /proc/buddyinfo", "dmesg | grep -e lab_pages:"]
    program = labs.script(tmp_path_factory.mktemp("split") / "program", *lines)
    return traced("pages --limit 9000", program, SMP=1)


@pytest.fixture(scope="module")
def requests(
    traced: Traced,
    module: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Trace:
    """The module requests of tests/guest/modules."""
    folder = tmp_path_factory.mktemp("requests")
    program = guest_modules.carrier("insmod.c", folder, module("requests"))
    return traced("pages --limit 9000", program, SMP=1, ARGS="/bin/dmesg")


def by(events: list[dict[str, Any]], module: str) -> list[dict[str, Any]]:
    """The events whose caller is in a module."""
    return [
        event
        for event in events
        if event["callers"] and event["callers"][0].endswith(f"[{module}]")
    ]


def test_what_the_module_got(split: Trace) -> None:
    """The module prints its requests and what it got."""
    asked = re.findall(r"lab_pages: (\d+) bytes need order (\d+)$", split.console, re.M)
    given = re.findall(r"lab_pages: pfn (0x\w+), order (\d+),", split.console)
    ours = by(split.step("allocated"), "lab_pages")
    failed = by(split.step("failed"), "lab_pages")
    plain = [event for event in ours if event["asked"] is None]
    assert len(asked) == 4 and len(given) == 3
    assert [(event["pfn"], event["order"]) for event in plain] == [
        (int(pfn, 16), int(order)) for pfn, order in given
    ]
    (none,) = failed
    assert none["order"] == int(asked[-1][1]) == LARGEST + 1
    assert f"the largest blocks have order {LARGEST}" in none["what"]
    assert {event["gfp_names"] for event in plain} == {"GFP_KERNEL|__GFP_NOWARN"}
    assert {event["migratetype"] for event in ours} == {"Unmovable"}
    assert {event["context"] for event in ours} == {"process"}


def test_bytes_and_waste(split: Trace) -> None:
    """alloc_pages_exact() is told the bytes, and gives pages back."""
    (found,) = re.findall(r"(\d+) bytes exactly, at pfn (0x\w+): (\d+)", split.console)
    (event,) = [event for event in split.step("allocated") if event["asked"]]
    size, pfn, pages = int(found[0]), int(found[1], 16), int(found[2])
    assert (event["asked"], event["pfn"], event["order"]) == (size, pfn, 6)
    assert "for 132 KiB, 124 KiB of them wasted" in event["what"]
    later = [e for e in split.step("freed") if e["number"] > event["number"]]
    own = [
        e["pfn"]
        for e in later
        if pfn <= e["pfn"] < pfn + 64 and e["pid"] == event["pid"]
    ]
    assert own[: 64 - pages] == list(range(pfn + pages, pfn + 64))
    assert own[64 - pages : 64] == list(range(pfn, pfn + pages))


def test_counters_and_marks_agree(split: Trace, requests: Trace) -> None:
    """What is free by its struct page, and what the zone's own counters say."""
    seen = 0
    for event in split.events + requests.events:
        for zone in event["zones"]:
            seen += 1
            before, after = zone["free_before"], zone["free_after"]
            for order, (old, new) in enumerate(zip(before, after)):
                gone = sum(block["order"] == order for block in zone["gone"])
                come = sum(block["order"] == order for block in zone["new"])
                assert new - old == come - gone, (event["what"], order)
    assert seen > 20


def test_split(split: Trace, requests: Trace) -> None:
    """The halves and what was given are the whole block: expand() in mm/page_alloc.c."""
    events = split.step("allocated") + requests.step("allocated")
    found = [
        event
        for event in events
        if event["source"] == "free list" and event["block"]["order"] > event["order"]
    ]
    assert len(found) >= 3
    for event in found:
        block, order = event["block"], event["order"]
        assert event["pfn"] == block["pfn"]
        assert event["block_type"] == event["migratetype"]
        assert event["empty"] == list(range(order, block["order"]))
        halves = [(half["pfn"], half["order"]) for half in event["halves"]]
        wanted = [(block["pfn"] + (1 << n), n) for n in range(order, block["order"])]
        assert halves == wanted
        (zone,) = event["zones"]
        assert zone["zone"] == event["zone"] and zone["gone"] == [block]
        assert zone["new"] == event["halves"]
        assert "is split" in event["lines"][0]
        assert len(event["lines"]) == 2 + len(halves)


def test_merge(split: Trace, requests: Trace) -> None:
    """What was split is merged again, with each of the halves: __free_one_page()."""
    merged = 0
    for trace in (split, requests):
        given = {}
        for event in trace.events:
            if event["step"] == "allocated" and event["source"] == "free list":
                given[event["pfn"], event["order"]] = event
            if event["step"] != "freed" or event["to"] != "free list":
                continue
            source = given.pop((event["pfn"], event["order"]), None)
            if source is None:
                continue
            assert event["merged"] == source["halves"]
            assert event["block"] == source["block"]
            merged += bool(event["merged"])
    assert merged >= 2


def test_buddyinfo(split: Trace) -> None:
    """What the kernel printed is what one event left behind."""
    lines = re.findall(r"^Node 0, zone +(\w+) +([\d ]+?) *$", split.console, re.M)
    assert len(lines) >= 2
    names = {name for name, _ in lines}
    states = {name: [] for name in names}
    for event in split.events:
        for zone in event["zones"]:
            states[zone["zone"]] += [zone["free_before"], zone["free_after"]]
    for name, numbers in lines:
        if states[name]:  # else nothing of this zone ever changed
            assert list(map(int, numbers.split())) in states[name]


def test_flags_as_the_kernel_prints_them(requests: Trace) -> None:
    printed = re.findall(
        r"requests: page gfp=(\S*) order=(\d+) pfn=(\d+)$", requests.console, re.M
    )
    events = by(requests.step("allocated"), "requests")
    ours = [e for e in events if not e["asked"] and not e["for_slab"]]
    assert len(printed) >= 16
    assert [(e["gfp_names"], e["order"], e["pfn"]) for e in ours] == [
        (gfp or "none", int(order), int(pfn)) for gfp, order, pfn in printed
    ]
    types = {e["gfp_names"]: e["migratetype"] for e in ours}
    assert types["GFP_HIGHUSER_MOVABLE"] == "Movable"
    assert types["GFP_KERNEL|__GFP_RECLAIMABLE"] == "Reclaimable"


def test_in_an_interrupt(requests: Trace) -> None:
    events = [e for e in requests.events if e["context"] != "process"]
    (event,) = [e for e in by(events, "requests") if e["step"] == "allocated"]
    assert event["context"] == "hardirq" and "(in hardirq context)" in event["what"]
    assert event["order"] == 4 and event["gfp_names"] == "GFP_ATOMIC"


def test_large_kmalloc(requests: Trace) -> None:
    (found,) = re.findall(r"requests: large pfn=(\d+) bytes=(\d+)", requests.console)
    (event,) = [e for e in requests.step("allocated") if e["asked"]]
    assert (event["pfn"], event["asked"]) == tuple(map(int, found))
    assert event["order"] == 5 and not event["for_slab"]
    assert "for 100 KiB, 28 KiB of them wasted" in event["what"]


def test_lists_of_cpus(split: Trace) -> None:
    """Pages of user space come from the CPU's list, and go back there many at once."""
    single = [e for e in split.step("allocated") if e["order"] == 0]
    sources = {event["source"] for event in single}
    assert sources <= {"per-CPU list", "refill"}
    assert "per-CPU list" in sources
    for event in single:
        assert (event["block"] is None) == (event["source"] == "per-CPU list")
        assert bool(event["refill"]) == (event["source"] == "refill")
    lists = split.step("list freed")
    assert lists and all(event["pfns"] for event in lists)
    given = {event["pfn"] for event in single}
    given |= {pfn for event in split.step("bulk") for pfn in event["pfns"]}
    assert len(given & {pfn for event in lists for pfn in event["pfns"]}) > 20


def test_summary(split: Trace) -> None:
    orders, callers = (part for part in split.parts if isinstance(part, dict))
    for row in orders["rows"]:
        of_order = [e for e in split.events if e["order"] == row["order"]]
        asked = [e for e in of_order if e["step"] in ("allocated", "bulk", "failed")]
        assert row["requests"] == len(asked)
        assert row["failed"] == sum(e["step"] == "failed" for e in asked)
    (ours,) = [
        row for row in callers["rows"] if row["function"].endswith("of lab_pages")
    ]
    assert ours["requests"] == 5
    assert ours["allocated"] == ours["freed"] == (128 + 256 + 4096 + 256) * KIB
