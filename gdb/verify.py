# SPDX-License-Identifier: GPL-2.0-only
"""Check every hit of one guest from its start to its end: `make verify`.

Exit status 0 only if there was a hit and every check of every hit passed.
"""

import os
import re
import sys
from pathlib import Path

import gdb

sys.path.insert(0, os.path.join(os.getcwd(), "gdb"))
from lab.target import gdb_debugger, terminal, unforeseen  # noqa: E402 (found only now)


def program_ended() -> int | None:
    """The exit status of the guest's program, None if the guest ended first.

    As program_status() in scripts/guest.sh, which knows it only later.
    """
    log = Path(os.environ["LAB_CONSOLE"]).read_bytes()
    found = re.findall(rb"lab: [^ ]* exited with ([0-9]{1,3})\r*$", log, re.M)
    return int(found[-1]) if found else None


def main() -> int:
    """Run the guest to its end; returns the exit status."""
    gdb.execute("set pagination off")
    gdb_debugger.connect(os.environ["LAB_SOCKET"])
    gdb.execute("source gdb/seginfo.py")
    from lab.commands.seginfo import check, write_hits
    from lab.view.text import totals

    if not check.armed:
        return 1  # gdb/seginfo.py has said why
    gdb.execute("seginfo run")
    gdb.execute("continue")
    if os.environ["LAB_JSON"]:
        write_hits(os.environ["LAB_JSON"], program_ended())
    terminal.write(f"seginfo: {totals(check.hits)}.\n")
    if not check.hits:
        terminal.write(
            "seginfo: the guest's program never called segment_info.\n", gdb.STDERR
        )
    for call in check.calls.values():
        terminal.write(
            f"seginfo: a call of {call.task.comm} {call.task.pid} never returned.\n",
            gdb.STDERR,
        )
    failed = check.errors or check.calls or any(not hit.passed for hit in check.hits)
    return 0 if check.hits and not failed else 1


try:
    gdb.execute(f"quit {main()}")
except (gdb.error, gdb.GdbError, KeyboardInterrupt) as error:
    terminal.write(f"seginfo: {error}\n", gdb.STDERR)
    gdb.execute("quit 1")
except Exception as mistake:  # a bug of ours must not look like success
    terminal.write(f"{unforeseen.sentence('make verify', mistake)}\n", gdb.STDERR)
    gdb.execute("quit 1")
