# SPDX-License-Identifier: GPL-2.0-only
"""Inside drgn: time the walks that tests/debugger/in_gdb/explore_speed.py times in gdb.

    drgn -c DUMP -s VMLINUX speed.py REPEATS PID...   prints JSON
"""

import gc
import json
import statistics
import struct
import sys
import time
from typing import Callable, Iterator

from drgn import Object, Program
from drgn.helpers.linux import (
    find_task,
    for_each_task,
    pgtable_l5_enabled,
    task_cpu,
    task_state_to_char,
    virt_to_phys,
)

prog: Program


def timed(walk: Callable[[], list]) -> tuple[float, list]:
    took: list[float] = []
    found: list = []
    gc.disable()  # as in the lab
    for _ in range(int(sys.argv[1])):
        found = []
        started = time.perf_counter()
        found = walk()
        took.append(time.perf_counter() - started)
    return statistics.median(took), found


def tasks() -> list[tuple]:
    """Read what lab ps reads of each task."""
    return [
        (
            task_struct.value_(),
            task_struct.pid.value_(),
            task_struct.tgid.value_(),
            task_struct.real_parent.tgid.value_(),
            task_struct.cred.uid.val.value_(),
            task_struct.cred.euid.val.value_(),
            task_state_to_char(task_struct),
            task_cpu(task_struct),
            task_struct.signal.nr_threads.value_(),
            task_struct.comm.string_(),
            task_struct.flags.value_(),
        )
        for task_struct in for_each_task(prog)
    ]


def areas(mm: Object) -> Iterator[Object]:
    if hasattr(mm, "mmap"):
        vma = mm.mmap
        while vma:
            yield vma
            vma = vma.vm_next
        return
    from drgn.helpers.linux.mm import for_each_vma  # since drgn 0.0.25

    yield from for_each_vma(mm)


def members(mm: Object) -> list[tuple]:
    return [
        (
            vma.vm_start.value_(),
            vma.vm_end.value_(),
            vma.vm_flags.value_(),
            vma.vm_pgoff.value_(),
            vma.vm_file.value_(),
        )
        for vma in areas(mm)
    ]


def pages(
    table: int, level: int, levels: int, base: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield address, size, level and entry of each page, like the lab's walk_page_range().

    drgn has no helper that walks tables, so this uses its fastest read, a table at a time.
    """
    count = 512 if level < levels else 256
    shift = 12 + 9 * (level - 1)
    entries = struct.unpack(f"<{count}Q", prog.read(table, 8 * count, True))
    for index, entry in enumerate(entries):
        if not entry & 1:
            continue
        address = base + (index << shift)
        if level == 1 or entry & 1 << 7:
            yield address, 1 << shift, level, entry
        else:
            yield from pages(entry & 0x000F_FFFF_FFFF_F000, level - 1, levels, address)


def process(pid: int) -> dict[str, float | None]:
    mm = find_task(prog, pid).mm
    levels = 5 if pgtable_l5_enabled(prog) else 4
    pgd = virt_to_phys(mm.pgd).value_()
    walk, found = timed(lambda: list(pages(pgd, levels, levels, 0)))
    result: dict[str, float | None] = {"pages_s": walk, "pages": len(found)}
    try:
        result["areas_s"], found = timed(lambda: members(mm))
        result["areas"] = len(found)
    except ImportError:
        result["areas_s"] = result["areas"] = None
    return result


took, found = timed(tasks)
json.dump(
    {
        "tasks_s": took,
        "tasks": len(found),
        "processes": {pid: process(int(pid)) for pid in sys.argv[2:]},
    },
    sys.stdout,
)
