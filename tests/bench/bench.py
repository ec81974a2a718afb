# SPDX-License-Identifier: GPL-2.0-only
"""The lab's speed: `make bench`. JSON=FILE takes the result.

Every number is a median of repeats in this one run. Compare ratios within a run: times
depend on this machine and its load.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bench_explore
import bench_replay
import bench_trace
from rich.console import Console
from rich.table import Table

from lab.version import VERSION
from support import labs

REPEATS = 5
AREAS = 20000
BRIEF = ("source gdb/seginfo.py", "seginfo brief", "continue")


def walks(tmp: Path) -> dict[str, float]:
    """Measure the microseconds for an area in each of the three ways, in one stop."""
    port = labs.free_port()
    many = {"PROGRAM": labs.USER / "many", "ARGS": AREAS}
    took = labs.inside("walks.py", port, tmp, before=BRIEF, **many)
    fast = took["ram_file_us"]
    took["ratio_gdb_value_to_ram_file"] = took["gdb_value_us"] / fast
    took["ratio_stub_to_ram_file"] = took["stub_us"] / fast
    took["ratio_gdb_value_to_stub"] = took["gdb_value_us"] / took["stub_us"]
    return took


def first_hit(tmp: Path) -> float:
    """Measure the seconds from QEMU's start until gdb stops at the first hit."""
    return labs.inside("age.py", labs.free_port(), tmp, before=BRIEF)


def verified(tmp: Path) -> tuple[float, list[float]]:
    """Measure the seconds of a whole `make verify`, and the milliseconds of its verdicts."""
    file = tmp / "verify.json"
    started = time.perf_counter()
    ended = labs.run("make", "verify", PORT=labs.free_port(), JSON=file)
    took = time.perf_counter() - started
    if ended.returncode != 0:
        sys.exit(
            f"bench: make verify failed, so there is nothing to measure:\n{ended.stderr}"
        )
    return took, verdicts(file)


def storm(tmp: Path) -> list[float]:
    """Measure the milliseconds to a verdict for the hits of a storm."""
    file = tmp / "storm.json"
    commands = (*BRIEF[:2], "seginfo run", "continue", f"seginfo json {file}")
    settings = {"PROGRAM": labs.USER / "storm", "ARGS": "2,2,75"}
    labs.debug(labs.free_port(), *commands, **settings)
    return verdicts(file)


def verdicts(file: Path) -> list[float]:
    return [hit["verdict_ms"] for hit in json.loads(file.read_text())["hits"]]


def measure() -> dict[str, Any]:
    """Measure everything, in the form of the JSON."""
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        runs = [verified(tmp) for _ in range(REPEATS)]
        demo = [verdict for _, each in runs for verdict in each]
        stormy = storm(tmp)
        result: dict[str, Any] = {
            "schema": "seginfo-bench",
            "version": 1,
            "seginfo": VERSION,
            "kernel": labs.kernel_dir().name,
            "processors": os.cpu_count(),
            "walk": walks(tmp),
            "verdict_ms": {
                "demo": {"hits": len(demo)} | middle_and_worst(demo),
                "storm": {"hits": len(stormy)} | middle_and_worst(stormy),
            },
            "first_hit_s": statistics.median(first_hit(tmp) for _ in range(REPEATS)),
            "verify_s": statistics.median(took for took, _ in runs),
            "explore": bench_explore.measure(tmp),
            "trace": bench_trace.measure(tmp),
            "replay": bench_replay.measure(tmp),
        }
    result["aims"] = aims(result)
    return result


def middle_and_worst(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "max": max(values)}


RATIO = "RAM file 300 times faster than gdb.Value"
VERDICT = "verdict of the demo's hits within 10 ms (median)"
VERIFY = "make verify under 4 s"


def aims(result: dict[str, Any]) -> dict[str, bool]:
    """Tell which of the project's aims this run meets.

    The storm is left out, since there the calls of two threads wait for each other.
    """
    return (
        {
            RATIO: result["walk"]["ratio_gdb_value_to_ram_file"] >= 300,
            VERDICT: result["verdict_ms"]["demo"]["median"] <= 10,
            VERIFY: result["verify_s"] < 4,
        }
        | bench_explore.aims(result["explore"])
        | bench_replay.aims(result["replay"])
    )


def table(result: dict[str, Any]) -> Table:
    """Format the result for a person."""
    walk = result["walk"]
    shown = Table(title=f"Linux {result['kernel']}, {result['processors']} processors")
    shown.add_column("what")
    shown.add_column("measured", justify="right")
    shown.add_row(
        f"gdb.Value, {walk['areas']} areas", f"{walk['gdb_value_us']:.1f} µs/area"
    )
    shown.add_row("stub, one packet each", f"{walk['stub_us']:.1f} µs/area")
    shown.add_row("RAM file", f"{walk['ram_file_us']:.2f} µs/area")
    shown.add_row("gdb.Value : RAM file", f"{walk['ratio_gdb_value_to_ram_file']:.0f}")
    shown.add_row("stub : RAM file", f"{walk['ratio_stub_to_ram_file']:.0f}")
    for name, each in result["verdict_ms"].items():
        times = f"{each['median']:.1f} ms, at most {each['max']:.1f}"
        shown.add_row(f"verdict, {each['hits']} hits of {name}", times)
    shown.add_row("QEMU's start to the first hit", f"{result['first_hit_s']:.2f} s")
    shown.add_row("make verify", f"{result['verify_s']:.2f} s")
    shown.add_section()
    for what, took in bench_explore.rows(result["explore"]):
        shown.add_row(what, took)
    shown.add_section()
    for what, took in bench_trace.rows(result["trace"]):
        shown.add_row(what, took)
    shown.add_section()
    for what, took in bench_replay.rows(result["replay"]):
        shown.add_row(what, took)
    shown.add_section()
    for aim, met in result["aims"].items():
        shown.add_row(aim, "met" if met else "missed")
    return shown


def main() -> None:
    given = os.environ.get("JSON") or os.devnull
    target = Path(given)
    try:
        os.close(os.open(given, os.O_WRONLY | os.O_CREAT, 0o666))
    except OSError as error:
        sys.exit(f"bench: cannot write JSON={given}: {error.strerror}.")
    try:
        result = measure()
    finally:
        labs.remove_logs()
    Console().print(table(result))
    target.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
