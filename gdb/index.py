# SPDX-License-Identifier: GPL-2.0-only
"""Replay a new recording once and note its moments: part of `make record`.

Makes checkpoints where a program is executed or killed, at each hit's entry and in
between, so that no instruction is far from one. Exit status 0 if the end was reached.
"""

import os
import sys
from pathlib import Path

import gdb

sys.path.insert(0, os.path.join(os.getcwd(), "gdb"))
from lab import mistakes  # noqa: E402
from lab.printable import text_of  # noqa: E402
from lab.target import (  # noqa: E402 (found only now)
    gdb_debugger,
    kernel,
    terminal,
    unforeseen,
)

# Loading a checkpoint and executing so many instructions takes about a tenth of a second.
STEP = 5_000_000
# In a long recording checkpoints are farther apart: by this part of what lies behind
PART = 20
MOST_EXECS = 1000
FIRMWARE_TAKES = 5_000_000  # instructions, at most
RESTART_TAKES = 10_000  # instructions, at most, from RESTART to the reset


def main() -> int:
    """Index the recording; returns the exit status."""
    gdb.execute("set pagination off")
    gdb.execute("set confirm off")
    gdb_debugger.connect(os.environ["LAB_SOCKET"])
    gdb.execute("source gdb/seginfo.py", to_string=True)
    from lab.commands.seginfo import check
    from lab.linux import task
    from lab.linux.structs.exec import LinuxBinprm
    from lab.linux.taskflags import exit_text
    from lab.linux.timekeeping import guest_time
    from lab.replay import session
    from lab.replay.moments import Moment
    from lab.replay.monitor import monitor
    from lab.replay.timetravel import RESTART, entry
    from lab.target import structs

    if not check.armed:
        terminal.write("error: the check cannot work in this recording.\n", gdb.STDERR)
        return 1
    here = session.this()
    place = f"*{entry():#x}"
    first = gdb.Breakpoint(place, gdb.BP_HARDWARE_BREAKPOINT, internal=True)
    here.run_until(FIRMWARE_TAKES)
    if task.register("rip") != entry():
        terminal.write("error: the firmware did not start the kernel.\n", gdb.STDERR)
        return 1
    first.delete()
    here.checkpoints.begin(here.now)
    what = "the kernel's first instruction"
    here.moments.add(Moment(here.now, "start", None, None, "", what))
    gdb.execute("seginfo run")

    class ExecStop(gdb.Breakpoint):
        """A program is loaded and about to start: finalize_exec(), fs/exec.c."""

        seen = 0

        @unforeseen.handler("make record")
        def stop(self) -> bool:
            kernel.refresh()
            program = LinuxBinprm(kernel.memory(), task.register("rdi")).filename
            name = text_of(kernel.memory().read_string(program))
            ExecStop.seen += 1
            if ExecStop.seen <= MOST_EXECS:
                session.note("exec", name)
                session.checkpoint()
            return False

    class DeathStop(gdb.Breakpoint):
        """A task ends: do_exit(), kernel/exit.c. A signal is noted, once for a process."""

        told: set[int] = set()

        @unforeseen.handler("make record")
        def stop(self) -> bool:
            kernel.refresh()
            code, current = task.register("rdi"), task.task(task.get_current())
            # The exit code of a kernel thread is no wait status
            if code & 0x7F and current.mm and current.tgid not in DeathStop.told:
                DeathStop.told.add(current.tgid)
                session.note("killed", exit_text(code))
                session.checkpoint()
            return False

    class RestartStop(gdb.Breakpoint):
        """The kernel is about to reset the machine."""

        count = time = 0

        @unforeseen.handler("make record")
        def stop(self) -> bool:
            kernel.refresh()
            RestartStop.count, RestartStop.time = here.now, guest_time()
            return False

    places = {
        ExecStop: "finalize_exec",
        DeathStop: "do_exit",
        RestartStop: RESTART,
    }
    for kind, symbol in places.items():
        if structs.has_symbol(symbol):
            place = f"*{structs.address_of(symbol):#x}"
            kind(place, gdb.BP_HARDWARE_BREAKPOINT, internal=True).silent = True
    while not here.is_over:
        now = here.now
        here.run_until(now + max(STEP, now // PART))
        if not here.is_over:
            session.checkpoint()
    end, how, time = here.now - 1, "the machine is reset", 0
    if end - RESTART_TAKES < RestartStop.count <= end:
        end, time = RestartStop.count, RestartStop.time
        how = "the kernel resets the machine"
    here.moments.finish(end, how, time)
    here.moments.save(Path(os.environ["LAB_RECORDING"]) / "moments.json")
    failed, hits = sum(not hit.passed for hit in check.hits), len(check.hits)
    terminal.write(
        f"indexed: {len(here.moments)} moments, {hits} hit{'s' * (hits != 1)}, {failed} of "
        f"them failed, {len(here.checkpoints)} checkpoints.\n"
    )
    # Not kill, which from QEMU 8.1 on only pauses a QEMU that was told -no-shutdown
    monitor("quit")
    gdb.execute("disconnect", to_string=True)
    return 0


status = 1
try:
    status = main()
except (gdb.error, gdb.GdbError, OSError, KeyboardInterrupt) as problem:
    why = mistakes.refused(problem) if isinstance(problem, OSError) else str(problem)
    terminal.write(f"error: the recording cannot be indexed: {why}.\n", gdb.STDERR)
except Exception as mistake:  # a bug of ours must not look like success
    terminal.write(f"{unforeseen.sentence('make record', mistake)}\n", gdb.STDERR)
gdb.execute(f"quit {status}")
