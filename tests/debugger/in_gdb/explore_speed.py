# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: time the explorer's walks, and gdb's own ways to get the same.

GIVEN, set by tests/bench/bench_explore.py: {"result": file, "areas": {name: pid of a process
with many areas}, "pages": {name: pid of one with many pages}, "repeats": n}. All ways must
find the same. Times are medians of the repeats.
"""

import json
import statistics
import time
from typing import Any, Callable, Iterator

import gdb
from lab.commands.base import no_garbage_collection
from lab.linux import census, mm, page, pagewalk, pgtable, process, registers, task, vma
from lab.reports import (
    buddy,
    count,
    current,
    dmesg,
    fit,
    irqs,
    kmalloc,
    meminfo,
    modules,
    slabs,
    symbol,
    translate,
    vmalloc,
    what,
    zones,
)
from lab.target import kernel, structs
from lab.target.memory import PHYSICAL_MASK

FEW = 3  # repeats of what takes long
SLOW = 2000  # so many areas, where it takes long; the rest is extrapolated
GIVEN: dict[str, Any]


def timed(walk: Callable[[], object], repeats: int = 0) -> tuple[float, object]:
    """Return the median of the seconds that a walk takes, and what it found."""
    took: list[float] = []
    found: object = None
    for _ in range(repeats or GIVEN["repeats"]):
        found = None  # release the last result before the clock starts
        with no_garbage_collection():  # as the commands do
            started = time.perf_counter()
            found = walk()
            took.append(time.perf_counter() - started)
    return statistics.median(took), found


def shown(command: str) -> float:
    """Return the seconds from a command to its text."""
    return timed(lambda: gdb.execute(command, to_string=True))[0]


# --- Tasks -----------------------------------------------------------------------


def processes_by_gdb_value() -> list[tuple[int, int, str]]:
    """Walk as users of gdb's Python do, and lx-ps."""
    kind = gdb.lookup_type("struct task_struct")
    pointer = kind.pointer()
    first = gdb.parse_and_eval("&init_task")
    inside = structs.offsetof("struct task_struct", "tasks")
    found = []
    task_struct = first
    while True:
        link = int(task_struct["tasks"]["next"])
        task_struct = gdb.Value(link - inside).cast(pointer)
        if task_struct == first:
            return found
        row = (
            int(task_struct),
            int(task_struct["pid"]),
            task_struct["comm"].string("utf-8", "replace"),
        )
        for member in ("tgid", "flags", "exit_state", "cred", "signal", "real_parent"):
            int(task_struct[member])
        found.append(row)


def tasks() -> dict[str, float]:
    mine, rows = timed(lambda: list(process.processes()))
    theirs, found = timed(processes_by_gdb_value, FEW)
    assert [row.address for row in rows] == [address for address, *_ in found]
    lx_ps, output = timed(lambda: gdb.execute("lx-ps", to_string=True), FEW)
    assert len(output.splitlines()) > len(rows)  # init_task and a heading as well
    return {
        "tasks": len(rows),
        "walk_s": mine,
        "shown_s": shown("lab ps"),
        "json_s": shown("lab ps --json"),
        "gdb_value_s": theirs,
        "lx_ps_s": lx_ps,
    }


# --- Areas -----------------------------------------------------------------------


def areas_by_gdb_value(addresses: list[int]) -> int:
    """Read vm_start, vm_end, vm_flags and vm_file of areas, by the list or their addresses."""
    pointer = gdb.lookup_type("struct vm_area_struct").pointer()
    total = 0
    for address in addresses:
        area = gdb.Value(address).cast(pointer)
        for member in ("vm_start", "vm_end", "vm_flags", "vm_file"):
            total += int(area[member])
    return total


def areas(pid: int) -> dict[str, float]:
    address = task.task(task.find_task_by_pid(pid)).mm
    walk, found = timed(lambda: list(vma.for_each_vma(address)))
    some = [area.address for area in found[:SLOW]]
    by_gdb, total = timed(lambda: areas_by_gdb_value(some), FEW)
    assert total == sum(
        area.vm_start + area.vm_end + area.vm_flags + area.vm_file
        for area in found[:SLOW]
    )
    return {
        "areas": len(found),
        "walk_s": walk,
        "shown_s": shown(f"lab vmas {pid}"),
        "json_s": shown(f"lab vmas {pid} --json"),
        "gdb_value_us": by_gdb / len(some) * 1e6,
        "walk_us": walk / len(found) * 1e6,
    }


# --- Page tables -------------------------------------------------------------------


Page = tuple[int, int, int, int]  # address, size, level, entry


def tables_by_stub(table: int, level: int, base: int) -> Iterator[Page]:
    """Read all present pages, each table with one call of gdb's read_memory()."""
    guest = kernel.memory()
    raw = gdb.selected_inferior().read_memory(guest.page_offset + table, 4096)
    count = 512 if level < guest.levels else 256  # of the top table the user's half
    shift = 12 + 9 * (level - 1)
    for index, entry in enumerate(memoryview(raw).cast("B").cast("Q")[:count]):
        address = base + (index << shift)
        if not entry & 1:
            continue
        if level == 1 or entry & 1 << 7:
            yield address, 1 << shift, level, entry
        else:
            yield from tables_by_stub(entry & PHYSICAL_MASK, level - 1, address)


def pages(pid: int) -> dict[str, float]:
    """Read all present pages in a process's user half."""
    levels = kernel.memory().levels
    pgd = mm.pgd_of(task.task(task.find_task_by_pid(pid)).mm)
    end = 1 << 12 + 9 * levels - 1
    walk, found = timed(lambda: list(pagewalk.walk_page_range(pgd, 0, end)))
    stub, theirs = timed(lambda: list(tables_by_stub(pgd, levels, 0)), FEW)
    assert [page for page in found if page[3] & 1] == theirs
    return {"pages": len(found), "walk_s": walk, "stub_s": stub}


# --- The rest of memory --------------------------------------------------------------

VIEWS = {
    "zones": zones.describe,
    "buddy": lambda: buddy.describe("", None),
    "slabs": lambda: slabs.describe(""),
    "slabs task_struct": lambda: slabs.describe("task_struct"),
    "vmalloc": vmalloc.describe,
    "meminfo": meminfo.describe,
    "count": count.describe,
    "fit 131072": lambda: fit.describe(128 << 10),
    "kmalloc": lambda: kmalloc.describe(None),
    "modules": lambda: modules.describe(""),
    "irqs": irqs.describe,
    "dmesg": lambda: dmesg.describe(""),
    "symbol schedule": lambda: symbol.describe("schedule"),
    "translate": lambda: translate.describe(structs.address_of("jiffies"), "virt"),
    "current": current.describe,
}


def addresses() -> dict[str, int]:
    """An address of each kind that lab what tells by another way."""
    guest = kernel.memory()
    pid = next(iter(GIVEN["pages"].values()))
    own = task.find_task_by_pid(pid)
    space = task.task(own).mm
    stack = next(area for area in vma.for_each_vma(space) if area.vm_flags & 0x100)
    found = pgtable.walk(mm.pgd_of(space), stack.vm_end - 0x800).physical
    return {
        "data": structs.address_of("jiffies"),
        "code": structs.address_of("schedule"),
        "object": own,
        "stack": registers.task_stack_page(own) + 16000,
        "page table": guest.page_offset + mm.pgd_of(space),
        "user memory": guest.page_offset + found,
        "struct page": page.vmemmap() + 64 * 0x2000,
    }


def whats() -> dict[str, Any]:
    """Ask what these addresses are."""
    return {
        name: {"address": at, "s": timed(lambda: what.describe(at, None, None))[0]}
        for name, at in addresses().items()
    }


def ram() -> dict[str, Any]:
    """Take the census, and look at the rest of memory."""
    took, found = timed(census.census)
    assert found.troubles == [] and found.frames > 0, found.troubles
    views = {name: timed(describe)[0] for name, describe in VIEWS.items()}
    return {
        **{"frames": found.frames, "census_s": took, "views_s": views},
        "what": whats(),
    }


result = {
    "ram": ram(),
    "ps": tasks(),
    "vmas": {name: areas(pid) for name, pid in GIVEN["areas"].items()},
    "pages": {name: pages(pid) for name, pid in GIVEN["pages"].items()},
}
with open(GIVEN["result"], "w", encoding="utf-8") as file:
    json.dump(result, file)
