# SPDX-License-Identifier: GPL-2.0-only
"""The explorer's part of `make bench`, compared with gdb's own ways, crash and drgn.

All is measured in one stop of one guest; crash and drgn read a dump of that moment.
bench.py calls measure(), aims() and rows().
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from support import labs, other_readers
from support.witnessed import Moment

REPEATS = 11
FEW, MANY, PAGES, CROWD = "many=20000", "many=65000", "pages=20000", "crowd=1000"
LINEAR = 1.5  # how much longer an area may take among 65,000 than among 20,000


def measure(folder: Path) -> dict[str, Any]:
    """Measure everything, in the form of the JSON; times are medians, in seconds."""
    moment = Moment(
        folder / "moment", labs.free_port(), CROWD, FEW, MANY, PAGES, MEM="1G"
    )
    try:
        return measured(moment, folder)
    finally:
        moment.close()


def measured(moment: Moment, folder: Path) -> dict[str, Any]:
    file, dump = folder / "explore.json", folder / "core"
    areas = {name: moment.pid(name) for name in (FEW, MANY)}
    given = {"result": str(file), "areas": areas, "repeats": REPEATS}
    given["pages"] = {PAGES: moment.pid(PAGES)}
    moment.gdb(f"python GIVEN = {given!r}")
    moment.gdb("source tests/debugger/in_gdb/explore_speed.py")
    result = json.loads(file.read_text())
    started = time.perf_counter()
    moment.gdb(f"lab dump {dump}")
    result["dump_s"] = time.perf_counter() - started
    pids = [*areas.values(), moment.pid(PAGES)]
    asked = {
        name: f"{one['address']:#x}" for name, one in result["ram"]["what"].items()
    }
    result["drgn"] = by_drgn(dump, pids)
    result["drgn"]["what"] = dict(
        zip(
            asked,
            other_readers.drgn(vmlinux(), dump, "identify_speed.py", *asked.values()),
        )
    )
    result["crash"] = by_crash(moment, dump, pids, asked)
    ps = result["ps"]
    ps["ratio_lx_ps_to_lab_ps"] = ps["lx_ps_s"] / ps["shown_s"]
    for timing in result["vmas"].values():
        timing["ratio_gdb_value_to_walk"] = timing["gdb_value_us"] / timing["walk_us"]
    few, many = result["vmas"][FEW], result["vmas"][MANY]
    result["ratio_growth"] = many["walk_us"] / few["walk_us"]
    return result


def vmlinux() -> Path:
    return labs.kernel_dir() / "obj" / "vmlinux"


def by_drgn(dump: Path, pids: list[int]) -> dict[str, Any]:
    """Measure what drgn takes for the same, with and without its start."""
    started = time.perf_counter()
    found = other_readers.drgn(vmlinux(), dump, "speed.py", 1)
    found["with_start_s"] = time.perf_counter() - started  # for the tasks alone
    return found | other_readers.drgn(vmlinux(), dump, "speed.py", REPEATS, *pids)


def by_crash(
    moment: Moment, dump: Path, pids: list[int], asked: dict[str, str]
) -> dict[str, Any] | None:
    """Measure what crash takes for the same, without its start; None if it cannot read it."""
    if other_readers.crash_fails(moment):
        return None
    few, many, paged = pids
    commands = {
        "ps": "ps",
        FEW: f"vm {few}",
        MANY: f"vm {many}",
        PAGES: f"vm -p {paged}",
        **OF_CRASH,
        **{what_is(name): f"kmem {address}" for name, address in asked.items()},
    }
    start, took = other_readers.crash_times(vmlinux(), dump, list(commands.values()), 5)
    return {"start_s": start} | {
        name: took[command] for name, command in commands.items()
    }


# What crash has for a view of the lab's; "census" is lab frames
OF_CRASH = {
    "census": "kmem -p",
    "zones": "kmem -z",
    "buddy": "kmem -f",
    "slabs": "kmem -s",
    "vmalloc": "kmem -v",
    "meminfo": "kmem -i",
    "modules": "mod",
    "irqs": "irq -s",
    "dmesg": "log",
    "symbol schedule": "sym schedule",
}


def what_is(kind: str) -> str:
    """What an address of a kind is, as a row."""
    return f"what ADDRESS ({kind})"


CENSUS = "the census of 1 GiB in under 0.3 s"
VIEWS = "every other view of memory in under 50 ms"
WALKED = "65,000 areas walked in under 0.15 s"
SHOWN = "65,000 areas shown in under 2 s"
GROWTH = "the time for areas grows linearly"
LX_PS = "lab ps of 1,000 tasks 50 times faster than lx-ps"
ORACLES = "no walk slower than crash's or drgn's"


def aims(result: dict[str, Any]) -> dict[str, bool]:
    """Tell which of the explorer's aims this run meets."""
    many = result["vmas"][MANY]
    return {
        WALKED: many["areas"] >= 65000 and many["walk_s"] < 0.15,
        SHOWN: many["shown_s"] < 2,
        GROWTH: result["ratio_growth"] < LINEAR,
        LX_PS: result["ps"]["tasks"] >= 1000
        and result["ps"]["ratio_lx_ps_to_lab_ps"] >= 50,
        CENSUS: result["ram"]["census_s"] < 0.3,
        VIEWS: all(took < 0.05 for took in views_of(result).values()),
        ORACLES: all(mine <= theirs for mine, theirs in pairs(result)),
    }


def views_of(result: dict[str, Any]) -> dict[str, float]:
    """What each view of memory takes, but for the census."""
    whats = result["ram"]["what"].items()
    return result["ram"]["views_s"] | {what_is(kind): one["s"] for kind, one in whats}


def pairs(result: dict[str, Any]) -> list[tuple[float, float]]:
    """Pair our walk with the other's. crash's includes printing, which cannot be separated.

    lab what stands beside theirs in the table only: it tells whose a frame is and where it is
    mapped, which takes a walk through all tasks or page tables; they tell a symbol or a cache.
    """
    drgn, crash = result["drgn"], result["crash"]
    found = [(result["ps"]["walk_s"], drgn["tasks_s"])]
    for ours, theirs in zip(result["vmas"].values(), drgn["processes"].values()):
        if theirs["areas_s"] is not None:
            found.append((ours["walk_s"], theirs["areas_s"]))
    last = list(drgn["processes"].values())[-1]
    found.append((result["pages"][PAGES]["walk_s"], last["pages_s"]))
    if crash is not None:
        walks = {"ps": result["ps"]} | result["vmas"] | result["pages"]
        found += [(walk["walk_s"], crash[name]) for name, walk in walks.items()]
        views = result["ram"]["views_s"] | {"census": result["ram"]["census_s"]}
        found += [(views[name], crash[name]) for name in views if name in crash]
    return found


def rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table for a person: what, and how long."""
    ps, drgn, crash = result["ps"], result["drgn"], result["crash"]
    found = [
        (f"lab ps, {ps['tasks']} processes: walked", ms(ps["walk_s"])),
        ("  shown", ms(ps["shown_s"])),
        ("  gdb.Value", ms(ps["gdb_value_s"])),
        ("  lx-ps", f"{ms(ps['lx_ps_s'])}, {ps['ratio_lx_ps_to_lab_ps']:.0f} times"),
        ("  drgn", f"{ms(drgn['tasks_s'])}, {ms(drgn['with_start_s'])} with its start"),
    ]
    found += of_crash(crash, "ps")
    for (name, ours), theirs in zip(result["vmas"].items(), drgn["processes"].values()):
        found += [
            (f"lab vmas, {ours['areas']} areas: walked", ms(ours["walk_s"])),
            ("  shown", ms(ours["shown_s"])),
            ("  gdb.Value, from 2,000", ms(ours["gdb_value_us"] * ours["areas"] / 1e6)),
            ("  drgn", ms(theirs["areas_s"])),
        ]
        found += of_crash(crash, name)
    paged = result["pages"][PAGES]
    found += [
        (f"page tables of {paged['pages']} pages: walked", ms(paged["walk_s"])),
        ("  through the stub", ms(paged["stub_s"])),
        ("  drgn, table by table", ms(list(drgn["processes"].values())[-1]["pages_s"])),
    ]
    found += of_crash(crash, PAGES)
    ram = result["ram"]
    found.append((f"lab frames, {ram['frames']} frames: census", ms(ram["census_s"])))
    found += of_crash(crash, "census")
    for name, took in views_of(result).items():
        found.append((f"lab {name}: found", ms(took)))
        found += of_crash(crash, name) if crash is None or name in crash else []
    for kind, took in drgn["what"].items():
        found.append((f"drgn's identify_address(), {kind}", ms(took)))
    return [*found, ("lab dump, 1 GiB", ms(result["dump_s"]))]


def of_crash(crash: dict[str, Any] | None, name: str) -> list[tuple[str, str]]:
    if crash is None:
        return [("  crash", "cannot read this kernel")]
    return [("  crash", f"{ms(crash[name])}, and {ms(crash['start_s'])} to start")]


def ms(seconds: float | None) -> str:
    """Return seconds as milliseconds; a dash for what could not be measured."""
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"
