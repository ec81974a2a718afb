# SPDX-License-Identifier: GPL-2.0-only
"""The timelines' part of `make bench`: how fast `lab trace` is.

For each timeline a program does the same twice, untraced and traced; for modules and
interrupts a script or a program is followed from one function on. bench.py calls measure()
and rows(). The times depend on this machine: the guest is stopped once or twice for each
event, while gdb and QEMU communicate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import labs

# By timeline: the program, the function from which on it is measured, and the command
OTHERS = {
    "module": ("lab-load.sh", "load_module", "lab trace module all --limit 20"),
    "irq": (
        "interrupts.c",
        "__x64_sys_sched_get_priority_max",
        "lab trace irq all --limit 200",
    ),
}
ARMED = ("source gdb/seginfo.py", "seginfo disarm")
# Timeline, program, how often it does what it does; the least events of one
PARTS = (
    ("fault", "fault_pages.c", 2000, 1),
    ("pages", "fault_pages.c", 1000, 1),
    ("slab", "open_files.c", 300, 2),
)


def measure(folder: Path) -> dict[str, Any]:
    """Measure everything, in the form of the JSON; times are in seconds."""
    parts = {kind: _measure(folder, kind, *given) for kind, *given in PARTS}
    return parts | _measure_others(folder)


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


def _measure_others(folder: Path) -> dict[str, Any]:
    """Measure those that go on by themselves."""
    result = {}
    for name, (source, *given) in OTHERS.items():
        program = labs.ROOT / "user" / source
        if source.endswith(".c"):
            program = labs.compile_c(source, folder)
        found = labs.inside(
            "event_speed.py",
            labs.free_port(),
            folder,
            given,
            ARMED,
            PROGRAM=program,
        )
        result[name] = found | {"events_per_s": found["events"] / found["traced_s"]}
    return result


def rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table for a person: what, and how fast."""
    found = []
    for kind, *_ in PARTS:
        one = result[kind]
        speed = f"{one['events_per_s']:.0f} events/s"
        untraced = (
            f"{one['untraced_s'] * 1000:.1f} ms, {one['slowdown']:.0f} times faster"
        )
        found += [(f"lab trace {kind}, {one['events']} events", speed)]
        found += [("  the same untraced", untraced)]
    for kind in OTHERS:
        one = result[kind]
        speed = f"{one['events_per_s']:.0f} events/s"
        found.append((f"lab trace {kind}, {one['events']} events", speed))
    return found
