# SPDX-License-Identifier: GPL-2.0-only
"""The timelines' part of `make bench`: how fast `lab trace` is.

For each timeline a program does the same twice, untraced and traced. bench.py calls
measure() and rows(). The times depend on this machine: the guest is stopped twice for most
events, while gdb and QEMU communicate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import labs

ARMED = ("source gdb/seginfo.py", "seginfo disarm")
# Timeline, program, how often it does what it does; the least events of one
PARTS = (
    ("fault", "fault_pages.c", 2000, 1),
    ("pages", "fault_pages.c", 1000, 1),
    ("slab", "open_files.c", 300, 2),
)


def measure(folder: Path) -> dict[str, Any]:
    """Measure everything, in the form of the JSON; times are in seconds."""
    return {kind: _measure(folder, kind, *given) for kind, *given in PARTS}


def _measure(
    folder: Path, kind: str, source: str, count: int, events: int
) -> dict[str, Any]:
    """Measure one timeline."""
    program = labs.compile_c(source, folder)
    settings = {"PROGRAM": program, "ARGS": count}
    result = labs.inside(
        "trace_speed.py", labs.free_port(), folder, kind, before=ARMED, **settings
    )
    assert result["events"] >= count * events, result
    result["events_per_s"] = result["events"] / result["traced_s"]
    result["slowdown"] = result["traced_s"] / result["untraced_s"]
    return result


def rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table for a person: what, and how fast."""
    found = []
    for kind, one in result.items():
        speed = f"{one['events_per_s']:.0f} events/s"
        untraced = (
            f"{one['untraced_s'] * 1000:.1f} ms, {one['slowdown']:.0f} times faster"
        )
        found += [(f"lab trace {kind}, {one['events']} events", speed)]
        found += [("  the same untraced", untraced)]
    return found
