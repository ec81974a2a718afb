# SPDX-License-Identifier: GPL-2.0-only
"""The timelines' part of `make bench`: how fast `lab trace fault`, `module` and `irq` are.

A program touches PAGES new pages twice: untraced, and with the timeline. A script loads
lab_slab, and another program is interrupted. bench.py calls measure() and rows(). All times
depend on this machine: the guest is stopped once or twice for each event, while gdb and
QEMU communicate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import labs

PAGES = 2000
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


def measure(folder: Path) -> dict[str, Any]:
    """Measure everything, in the form of the JSON; times are in seconds."""
    program = labs.compile_c("fault_pages.c", folder)
    settings = {"PROGRAM": program, "ARGS": PAGES}
    result = labs.inside(
        "fault_speed.py", labs.free_port(), folder, before=ARMED, **settings
    )
    assert result["events"] >= PAGES, result
    result["events_per_s"] = result["events"] / result["traced_s"]
    result["slowdown"] = result["traced_s"] / result["untraced_s"]
    for name, (source, *given) in OTHERS.items():
        program = labs.ROOT / "user" / source
        if source.endswith(".c"):
            program = labs.compile_c(source, folder)
        found = labs.inside(
            "trace_speed.py",
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
    return [
        (
            f"lab trace fault, {result['events']} faults",
            f"{result['events_per_s']:.0f} events/s",
        ),
        (
            "  the same untraced",
            f"{result['untraced_s'] * 1000:.1f} ms, {result['slowdown']:.0f} times faster",
        ),
        *(
            (
                f"lab trace {name}, {result[name]['events']} events",
                f"{result[name]['events_per_s']:.0f} events/s",
            )
            for name in OTHERS
        ),
    ]
