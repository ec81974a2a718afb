# SPDX-License-Identifier: GPL-2.0-only
"""lab trace module compared with the modules' files, /proc/modules, sysfs and errno.

One guest loads tests/guest/modules/giver.c and taker.c in all ways.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any, Callable

import pytest

from support import guest_modules, labs
from support.traces import Event, Trace, Traced

LOADS = ("junk", "junk", "taker", "giver", "giver", "giver", "giver", "giver", "taker")
RESULTS = (
    errno.ENOEXEC,
    errno.ENOEXEC,
    errno.ENOENT,
    errno.ENODEV,
    errno.EINVAL,
    0,
    errno.EEXIST,
    errno.ENOEXEC,
    0,
)
WHERE = (
    *("elf_validity_check", "elf_validity_check"),
    *("simplify_symbols", "do_one_initcall", "parse_args", ""),
    *("add_unformed_module", "check_modinfo", ""),
)


@pytest.fixture(scope="module")
def files(
    module: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The modules as they are loaded, and the program that carries them."""
    folder = tmp_path_factory.mktemp("module_life")
    giver = module("giver")
    taker = module("taker", needs=giver)
    other = folder / "other.ko"  # for a kernel that is none
    image = giver.read_bytes()
    image, changed = re.subn(rb"vermagic=\d", b"vermagic=9", image)
    assert changed == 1
    other.write_bytes(image)
    program = guest_modules.carrier("module_life.c", folder, giver, taker, other)
    carried = {name: folder / f"{name}.ko.carried" for name in ("giver", "taker")}
    return {"program": program, **carried}


@pytest.fixture(scope="module")
def life(files: dict[str, Path], traced: Traced) -> Trace:
    return traced("module --limit 9000", files["program"], SMP=2)


def loads(life: Trace) -> list[list[Event]]:
    """The events of each load_module(), from its call to its result."""
    found: list[list[Event]] = []
    for event in life.events:
        if event["step"] == "load":
            found.append([])
        if found and event["function"] != "module_memfree":
            found[-1].append(event)
    ends = ("loaded", "fails")
    return [
        events[: 1 + next(i for i, e in enumerate(events) if e["step"] in ends)]
        for events in found
    ]


def one(events: list[Event], step: str) -> Event:
    (found,) = [event for event in events if event["step"] == step]
    return found


def test_ends_by_itself_and_reads_all(life: Trace) -> None:
    assert life.ended.endswith("every followed process has ended.")


def test_the_result_is_errno(life: Trace) -> None:
    said = [(line["name"], int(line["errno"])) for line in life.lines("load")]
    assert said == list(zip(LOADS, RESULTS))
    ends = [events[-1] for events in loads(life)]
    found = [(e["module"] or "junk", -e.get("result", 0)) for e in ends]
    assert found == said
    assert [event.get("where", "") for event in ends] == list(WHERE)


def test_files_that_are_damaged(life: Trace) -> None:
    """The beginning of a module: its section headers are at the end."""
    for events in loads(life)[:2]:
        assert events[0]["sections"] == 0 and events[0]["modinfo"] == {}
        assert events[0]["what"].endswith(
            "; its section headers end behind the file's end"
        )


def test_why_a_load_fails(life: Trace) -> None:
    """What the kernel has printed about it, found by who printed it."""
    ends = [events[-1] for events in loads(life)]
    said = ["; ".join(event.get("messages", [])) for event in ends][2:]
    assert "taker: Unknown symbol giver_give (err -2)" in said[0]
    assert said[1].startswith("giver: init result -19 label refused")
    assert "' invalid for parameter `numbers'" in said[2]
    assert said[4] == "" and "giver: version magic '" in said[5]
    for text in said:
        assert all(message in life.console for message in text.split("; "))


def test_sections_are_where_sysfs_says(life: Trace) -> None:
    placed = {
        events[0]["module"]: one(events, "placed")
        for events in loads(life)
        if events[-1]["step"] == "loaded"
    }
    lines = life.lines("section")
    assert {line["module"] for line in lines} == {"giver", "taker"}
    for line in lines:
        sections = {each["name"]: each for each in placed[line["module"]]["sections"]}
        if line["name"] == ".data..percpu":
            continue  # it is on each CPU
        assert sections[line["name"]]["start"] == int(line["start"], 16), line
    for event in placed.values():
        pieces = {piece["name"]: piece for piece in event["memory"]}
        for section in event["sections"]:
            piece = pieces[section["memory"]]
            assert piece["start"] <= section["start"]
            end = piece["start"] + piece["size"]
            assert section["start"] + section["size"] <= end
    assert placed["giver"]["per_cpu"] == 8 and placed["taker"]["per_cpu"] == 0


def test_sections_are_those_of_the_file(life: Trace, files: dict[str, Path]) -> None:
    """Offsets and sizes, as readelf has them."""
    for name in ("giver", "taker"):
        done = labs.run("readelf", "-SW", files[name])
        rows = re.findall(
            r"\] (\S+) +\w+ +[0-9a-f]{16} ([0-9a-f]+) ([0-9a-f]+)", done.stdout
        )
        inside = {row[0]: (int(row[1], 16), int(row[2], 16)) for row in rows}
        events = next(e for e in loads(life) if e[0]["module"] == name)
        assert events[0]["sections"] == len(rows) + 1  # the first has no name
        for section in one(events, "placed")["sections"]:
            assert (section["offset"], section["size"]) == inside[section["name"]]


def test_symbols(life: Trace, files: dict[str, Path]) -> None:
    first, *_, last = (e for e in loads(life) if e[0]["module"] == "taker")
    assert one(first, "symbols")["missing"] == ["giver_give"]
    found = one(last, "symbols")
    assert found["uses"] == ["giver"] and found["missing"] == []
    done = labs.run("nm", "-u", files["taker"])
    assert {*found["found"]} == {line.split()[-1] for line in done.stdout.splitlines()}
    text = next(
        line
        for line in life.lines("section")
        if line["module"] == "giver" and line["name"] == ".text"
    )
    assert 0 <= found["found"]["giver_give"] - int(text["start"], 16) < 4096


def test_relocations(life: Trace, files: dict[str, Path]) -> None:
    """As many as readelf counts, each with the value that it must have."""
    for events in loads(life):
        told = [event for event in events if event["step"] == "relocated"]
        if not told:
            assert events[-1]["where"] in WHERE[:3] + WHERE[6:8]
            continue
        done = labs.run("readelf", "-rW", files[events[0]["module"]])
        pattern = r"'\.rela(\S+)' at offset \S+ contains (\d+) entr"
        expected = {name: int(n) for name, n in re.findall(pattern, done.stdout)}
        found = {e["section"]: e["relocations"] for e in told[0]["sections"]}
        assert found == expected and len(found) > 2
        assert all(each["wrong"] == 0 for each in told[0]["sections"])
        assert sum(told[0]["by_kind"].values()) == sum(expected.values())
        for kind, count in told[0]["by_kind"].items():
            assert done.stdout.count(f" {kind} ") == count


def test_parameters(life: Trace) -> None:
    event = one(loads(life)[5], "parameters")
    assert event["arguments"] == "label=given numbers=5,6,7 nosuch=1"
    assert event["parameters"] == {"result": "0", "label": "given", "numbers": "5,6,7"}
    assert event["unknown"] == ["nosuch"] and event["result"] == 0
    said = re.findall(r"^log .*giver: init (.*)", life.console, re.M)
    assert said[-1] == "result 0 label given numbers 3 first 5"
    assert one(loads(life)[4], "parameters")["result"] == -errno.EINVAL


def test_init_and_exit(life: Trace) -> None:
    called = [(event["module"], event["symbol"]) for event in life.step("init")]
    assert called == [(name, f"{name}_init") for name in ("giver", "giver", "taker")]
    results = [event["result"] for event in life.step("init returns")]
    assert results == [-errno.ENODEV, 0, 0]
    assert len(re.findall(r"^log .*: init ", life.console, re.M)) == len(called)
    ended = [(event["module"], event["symbol"]) for event in life.step("exit")]
    assert ended == [(name, f"{name}_exit") for name in ("taker", "giver")]
    assert len(re.findall(r"^log .*: exit$", life.console, re.M)) == len(ended)


def test_notifiers(life: Trace) -> None:
    states = [(e["module"], e["state"]) for e in life.step("notifiers")]
    giver = [state for name, state in states if name == "giver"]
    assert giver == ["COMING", "GOING", "COMING", "GOING", "COMING", "LIVE", "GOING"]
    taker = [state for name, state in states if name == "taker"]
    assert taker == ["COMING", "LIVE", "GOING"]
    for event in life.step("notifiers"):
        assert event["notifiers"] and event["result"] & 0x8000 == 0


def test_loaded_modules_are_those_of_proc(life: Trace) -> None:
    lines = {line["name"]: line for line in life.lines("module")}
    for event in life.step("loaded"):
        line = lines[event["module"]]
        assert event["state"] == line["state"] == "Live"
        assert event["size"] == int(line["size"])
    asked = life.step("unload")
    assert [e["module"] for e in asked] == ["giver", "taker", "giver", "giver"]
    assert asked[0]["references"] == int(lines["giver"]["references"]) == 1
    assert ",".join([*asked[0]["users"], ""]) == lines["giver"]["users"] == "taker,"
    assert asked[3]["state"] == "" and asked[3]["references"] is None
    said = [int(line["errno"]) for line in life.lines("unload")]
    assert [-event["result"] for event in life.step("unloaded")] == said
    assert said == [errno.EAGAIN, 0, 0, errno.ENOENT]


def test_all_memory_is_given_back(life: Trace) -> None:
    """Each piece that a module got, once, and the init part by a kworker."""
    got = [piece["start"] for event in life.step("placed") for piece in event["memory"]]
    freed = [event["memory"]["start"] for event in life.step("freed")]
    assert sorted(freed) == sorted(got) and len(got) >= 12
    later = [event for event in life.step("freed") if "kworker" in event["comm"]]
    assert [event["module"] for event in later] == ["giver", "taker"]
    rows: dict[str, dict[str, Any]] = {row["module"]: row for row in life.table}
    assert [rows["giver"][key] for key in ("loads", "failed", "unloads")] == [1, 4, 1]
    assert [rows["taker"][key] for key in ("loads", "failed", "unloads")] == [1, 1, 1]
    for name, row in rows.items():  # junk got none, and has no name
        assert row["memory"] == row["given_back"] and bool(row["memory"]) == bool(name)
