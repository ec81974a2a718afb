# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: let tests/guest/programs/killed.c be killed inside the call.

Sourced when the check is armed. Stops at the child's entry and makes its mmap_lock look
held by a writer, until the killed call has returned.
"""

import json
import os

import gdb
from lab.commands.seginfo import check
from lab.linux import task
from lab.target import kernel, structs

WRITER_LOCKED = 1  # RWSEM_WRITER_LOCKED in kernel/locking/rwsem.c

gdb.Breakpoint(
    f"*{structs.address_of('__x64_sys_segment_info'):#x}",
    gdb.BP_HARDWARE_BREAKPOINT,
    temporary=True,
)
gdb.execute("continue")
child = task.task(task.get_current())
lock = child.mm + structs.offsetof("struct mm_struct", "mmap_lock.count.counter")


def add(number: int) -> None:
    """Change the lock's count, as an atomic instruction would."""
    count = (kernel.memory().u64(lock) + number) % (1 << 64)
    gdb.selected_inferior().write_memory(lock, count.to_bytes(8, "little"))


add(WRITER_LOCKED)
gdb.execute("continue")  # to the hit: the call has been interrupted
result = {
    "child": child.pid,
    "hits": [[hit.task.pid, hit.result, hit.passed] for hit in check.hits],
    "calls": len(check.calls),
}
add(-WRITER_LOCKED)
gdb.execute("seginfo run")
gdb.execute("continue")
result["all hits"] = [[hit.task.pid, hit.result, hit.passed] for hit in check.hits]
result["all calls"] = len(check.calls)
gdb.execute("seginfo disarm")
result["breakpoints"] = gdb.execute("maint info breakpoints", to_string=True)
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(result, out)
