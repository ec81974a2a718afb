# SPDX-License-Identifier: GPL-2.0-only
"""lab trace slab compared with what modules print and with /proc/slabinfo."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

import pytest

from support import guest_modules, labs
from support.traces import Trace, Traced

OBJECTS = 200


@pytest.fixture(scope="module")
def objects(traced: Traced, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """The cache of the module lab_slab: objects that it keeps and that it frees."""
    lines = [f"insmod /lib/modules/lab_slab.ko most=1 objects={OBJECTS}"]
    lines += ["dmesg | grep -e lab_slab:", "grep lab_object /proc/slabinfo"]
    program = labs.script(tmp_path_factory.mktemp("slab") / "program", *lines)
    return traced("slab lab_object --limit 9000", program)


@pytest.fixture(scope="module")
def requests(
    traced: Traced,
    module: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Trace:
    """The module requests of tests/guest/modules."""
    folder = tmp_path_factory.mktemp("requests")
    program = guest_modules.carrier("insmod.c", folder, module("requests"))
    return traced("slab all --limit 9000", program, ARGS="/bin/dmesg")


def bug(traced: Traced, name: str, folder: Path, caches: str) -> Trace:
    lines = [f"insmod /lib/modules/lab_bugs.ko bug={name}", "dmesg | grep -e lab_bugs:"]
    return traced(
        f"slab {caches} --limit 9000", labs.script(folder / "program", *lines)
    )


def table(trace: Trace, title: str) -> list[dict[str, Any]]:
    """The rows of the part whose title starts so."""
    parts = [part for part in trace.parts if isinstance(part, dict)]
    (found,) = [part for part in parts if part["title"].startswith(title)]
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def from_module(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [e for e in events if e["callers"] and e["callers"][0].endswith(f"[{name}]")]


def printed(trace: Trace, what: str) -> list[dict[str, int]]:
    """The numbers in the lines that the module requests printed."""
    lines = re.findall(rf"requests: {what} (.*)$", trace.console, re.M)
    return [
        {key: int(value) for key, value in (word.split("=") for word in line.split())}
        for line in lines
    ]


def test_each_object(objects: Trace) -> None:
    """The module prints where each of its objects is, and which it has freed."""
    told = re.findall(r" at (0x\w+), by .*: (kept|freed)$", objects.console, re.M)
    given = [event["object"] for event in objects.step("allocated")]
    freed = [event["object"] for event in objects.step("freed")]
    assert len(told) == OBJECTS
    assert given == [int(at, 16) for at, _ in told]
    assert freed == [int(at, 16) for at, what in told if what == "freed"]
    numbers = {event["object"]: event["number"] for event in objects.step("allocated")}
    for event in objects.step("freed"):
        assert event["allocated"] == numbers[event["object"]]


def test_slabinfo(objects: Trace) -> None:
    """/proc/slabinfo: active_objs num_objs objsize objperslab pagesperslab : ... slabs."""
    (line,) = re.findall(r"^lab_object +(.*)$", objects.console, re.M)
    head, _, data = line.split(" : ")
    _, num_objs, objsize, objperslab, pages = map(int, head.split())
    slabs = int(data.split()[2])
    new = objects.step("new slab")
    assert len(new) == slabs > 1
    assert sum(event["objects"] for event in new) == num_objs
    assert {event["objects"] for event in new} == {objperslab}
    assert {1 << event["order"] for event in new} == {pages}
    # The object that a slab was made for is the first of that slab
    first = [event for event in objects.step("allocated") if event["new_slab"]]
    assert len(first) == slabs
    for slab, event in zip(new, first):
        assert event["number"] == slab["number"] + 1
        assert event["given"] == objsize
    (row,) = table(objects, "Objects by cache")
    assert (row["cache"], row["allocations"], row["new_slabs"]) == (
        "lab_object",
        OBJECTS,
        slabs,
    )
    (left,) = table(objects, "Not freed")
    assert left["objects"] == OBJECTS - row["frees"]


def test_sizes(requests: Trace) -> None:
    """What ksize() says of what was asked for."""
    ours = from_module(requests.step("allocated"), "requests")
    told = printed(requests, "object")
    assert len(told) == 10
    for line in told:
        (event,) = [
            e for e in ours if e["object"] == line["at"] and e["asked"] == line["asked"]
        ]
        assert event["given"] == line["given"]
        assert event["wasted"] == line["given"] - line["asked"]
        assert event["gfp_names"] == "GFP_KERNEL"
        assert event["cache"].startswith("kmalloc-")
    (line,) = printed(requests, "large")
    (event,) = [e for e in ours if e["asked"] == line["bytes"]]
    assert event["cache"] == "" and event["given"] == 128 << 10


def test_a_constant_size(requests: Trace) -> None:
    """It is told where the kernel passes it on."""
    (line,) = printed(requests, "constant")
    ours = from_module(requests.step("allocated"), "requests")
    (event,) = [e for e in ours if e["gfp_names"] == "GFP_NOWAIT"]
    assert (event["object"], event["given"]) == (line["at"], line["given"])
    if event["function"] == "kmem_cache_alloc":
        assert event["asked"] is None and "64 B or less asked for" in event["what"]
    else:
        assert (event["asked"], event["wasted"]) == (40, line["given"] - 40)


def test_many_at_once(requests: Trace) -> None:
    told = [line["at"] for line in printed(requests, "many")]
    (given,) = requests.step("bulk allocated", cache="requests_object")
    (freed,) = requests.step("bulk freed", cache="requests_object")
    assert given["objects"] == told and len(told) == 20
    assert freed["objects"] == told[:10]
    assert given["asked"] == 72 and given["new_slab"]


def test_what_is_left(requests: Trace) -> None:
    left = [
        row for row in table(requests, "Not freed") if "of requests" in row["caller"]
    ]
    assert (
        sum(row["objects"] for row in left if row["cache"] == "requests_object") == 10
    )
    kept = [
        line
        for number, line in enumerate(printed(requests, "object"))
        if not number % 2
    ]
    ours = [row for row in left if row["cache"].startswith("kmalloc-")]
    ours = [row for row in ours if row["caller"].startswith(("get", "objects"))]
    assert sum(row["objects"] for row in ours) == len(kept)
    assert sum(row["given"] for row in ours) == sum(line["given"] for line in kept)


def test_nothing_is_called_a_bug(requests: Trace, objects: Trace) -> None:
    for trace in (requests, objects):
        assert not trace.step("double free") and not trace.step("use after free")
        assert not any("after they were freed" in str(part) for part in trace.parts)


def test_double_free(traced: Traced, tmp_path: Path) -> None:
    found = bug(traced, "double-free", tmp_path, "lab_victim")
    (where,) = re.findall(r"lab_bugs: freed (0x\w+) twice", found.console)
    (first,) = found.step("freed")
    (event,) = found.step("double free")
    assert event["object"] == first["object"] == int(where, 16)
    assert event["freed"] == first["number"]
    assert event["freed_by"] == first["callers"]
    assert "double_free" in event["callers"][0]


@pytest.mark.parametrize("caches", ["lab_victim", "all"])
def test_use_after_free(traced: Traced, tmp_path: Path, caches: str) -> None:
    found = bug(traced, "use-after-free", tmp_path, caches)
    (where,) = re.findall(r"lab_bugs: wrote to (0x\w+), which is free", found.console)
    (event,) = found.step("use after free")
    (freed,) = [e for e in found.step("freed") if e["object"] == event["object"]]
    assert event["object"] == int(where, 16) and event["cache"] == "lab_victim"
    assert event["freed"] == freed["number"] < event["number"]
    assert (event["offset"], event["size"]) == (
        0,
        len("written after kmem_cache_free()"),
    )
    assert "use_after_free" in event["freed_by"][0]
