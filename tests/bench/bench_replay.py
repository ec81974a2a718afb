# SPDX-License-Identifier: GPL-2.0-only
"""Going back in time, as a part of `make bench`: with all checkpoints and with one.

bench.py calls measure(), aims() and rows().
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from support import labs, recordings

REPEATS = 5
SIDES = ("with", "without")
MOVES = ("reverse_stepi_s", "reverse_continue_s", "goto_s")
STEP = "reverse-stepi under 0.2 s (median)"
RUN = "reverse-continue to the previous hit under 0.4 s (median)"


def measure(folder: Path) -> dict[str, Any]:
    """Measure everything, in the form of the JSON; times are medians, in seconds."""
    recording = folder / "recording"
    started = time.perf_counter()
    recordings.whole(recording, labs.free_port())
    result: dict[str, Any] = {"record_s": time.perf_counter() - started}
    started = time.perf_counter()
    recordings.output(recording, labs.free_port(), "quit")
    result["open_s"] = time.perf_counter() - started
    result["bytes"] = sum(file.stat().st_size for file in recording.iterdir())
    port = labs.free_port()
    took = recordings.inside("replay_speed.py", recording, port, folder, REPEATS)
    result["checkpoints"] = took["checkpoints"]
    for name in MOVES:
        with_, without = (statistics.median(took[side][name]) for side in SIDES)
        move = name.removesuffix("_s")
        result |= {name: with_, f"{move}_without_checkpoints_s": without}
        result[f"ratio_{move}_without_to_with"] = without / with_
    return result


def aims(result: dict[str, Any]) -> dict[str, bool]:
    """Tell which of the aims for going back this run meets."""
    return {
        STEP: result["reverse_stepi_s"] < 0.2,
        RUN: result["reverse_continue_s"] < 0.4,
    }


def rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table for a person: what, and how long."""
    size = f"{result['bytes'] / 1e6:.0f} MB"
    found = [
        ("make record of the demo", f"{result['record_s']:.2f} s, {size}"),
        ("make replay until gdb's prompt", f"{result['open_s']:.2f} s"),
    ]
    for name in MOVES:
        move = name.removesuffix("_s")
        taken = f"{result[name] * 1000:.0f} ms"
        without = f"{result[f'{move}_without_checkpoints_s'] * 1000:.0f} ms"
        found += [
            (f"{move.replace('_', '-')}, {result['checkpoints']} checkpoints", taken),
            ("  the first alone", without),
        ]
    return found
