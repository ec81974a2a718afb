# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: what is in a process's page tables, for tests/debugger/test_explore_pages.py.

page_list(pid) prints JSON: for each page that an entry stands for, its address, its size,
the kind of entry, physical address and mapcount.
"""

import json

from lab.linux import pageframe, pagewalk, pgtable, regions, task
from lab.linux.mm import pgd_of

PAGE = 4096
RAM = regions.max_pfn() * PAGE


def page_list(pid: int) -> None:
    """Print all pages of a process, present or not."""
    mm = task.task(task.find_task_by_pid(pid)).mm
    rows = []
    for address, size, level, value in pagewalk.walk_page_range(pgd_of(mm), 0, 1 << 47):
        entry = pgtable.Entry(level, "", 0, 0, value)
        kind, physical = "present", None
        if entry.is_present:
            physical = entry.target
        else:
            kind = pgtable.kind(entry)
            if kind == "protnone":
                physical = pgtable.protnone_target(entry)
        for inside in range(0, size, PAGE):
            mapcount = used_as = None
            if physical is not None and physical >> 32 == 0 and physical < RAM:
                frame = pageframe.page_of(physical + inside)
                mapcount, used_as = frame.mapcount, frame.kind
            at = None if physical is None else physical + inside
            rows.append((address + inside, size, kind, at, mapcount, used_as))
    print(json.dumps(rows))
