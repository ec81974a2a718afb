# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: provide what the lab's kernels do not have: a refusal because of file
capabilities, a pid namespace, and a clock that advances between any two stops.
"""

from itertools import count

import gdb
from lab.linux import task, timekeeping
from lab.target import kernel, structs
from lab.trace import engine
from lab.trace.exec import binprm

EPERM = 1


class Refuse(gdb.Breakpoint):
    """Let cap_bprm_creds_from_file() return an error at once for /t/incapable."""

    def stop(self) -> bool:
        kernel.refresh()
        if binprm.text(binprm.read(task.register("rdi")).filename) == "/t/incapable":
            back = kernel.memory().u64(task.register("rsp"))
            gdb.execute(f"set $rax = -{EPERM}")
            gdb.execute("set $rsp = $rsp + 8")
            gdb.execute(f"set $rip = {back:#x}")
        return False


place = structs.address_of("cap_bprm_creds_from_file")
Refuse(f"*{place:#x}", gdb.BP_HARDWARE_BREAKPOINT, internal=True).silent = True

seen_by_all = task.task_pid_vnr
task.task_pid_vnr = lambda address: (
    2 if task.task(address).comm == "nested" else seen_by_all(address)
)

at, ticks = engine.Tracer._at, count(1)


def ticking(tracer: engine.Tracer, place: int) -> None:
    """Advance by a nanosecond for each stop."""
    now = next(ticks)
    timekeeping.guest_time = lambda: now
    at(tracer, place)


engine.Tracer._at = ticking
