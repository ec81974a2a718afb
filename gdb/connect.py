# SPDX-License-Identifier: GPL-2.0-only
"""Connect gdb to the paused guest and say what to type next: make debug, make replay."""

import os
import runpy
import select
import signal
import sys
from pathlib import Path

import gdb

SCREEN = """
Linux {release} is paused before its first instruction. Type next:

    source gdb/seginfo.py     set the breakpoint and load the lab
    continue                  run to the first call of segment_info, and check it

    help seginfo, help lab    once it is loaded: what the check does, and all commands
    lx-ps, lx-dmesg, ...      the kernel's own commands
    {console:<25} the guest's console, in another terminal
{tcp}    quit                      ends gdb and the guest
"""

TCP = """\
    disconnect                then, in another gdb: target remote :{port}
"""

REPLAY = """
A recording of Linux {release}, paused at its first instruction. Type next:

    source gdb/seginfo.py     set the breakpoint and load the lab
    continue                  run to the first call of segment_info, and check it
    reverse-continue          run back to the call before
    reverse-stepi, reverse-step, reverse-next, reverse-finish
                              one instruction, line, call, function back
    lab timeline              what happens in the recording, and where this is
    lab goto N                jump to a moment of it
    watch -l *(char *) ADDR   then reverse-continue: who wrote this byte last?

    help lab                  the commands to look around with
    quit                      ends gdb; the recording stays as it is
"""


class Confirmation:
    """Turns `set confirm` on while the guest runs.

    A second Ctrl-C, before QEMU has obeyed the first, gives the guest up: gdb is to ask
    first. At the prompt the person's own setting is back.
    """

    def __init__(self) -> None:
        self.before: bool | None = None  # the person's setting; None at the prompt
        gdb.events.cont.connect(self.turn_on)
        gdb.events.before_prompt.connect(self.restore)

    def turn_on(self, event: gdb.ContinueEvent) -> None:
        if self.before is None:
            self.before = gdb.parameter("confirm")
            gdb.execute("set confirm on")

    def restore(self) -> None:
        if self.before is not None:
            gdb.execute(f"set confirm {'on' if self.before else 'off'}")
            self.before = None


class Loss:
    """Says before the prompt that QEMU has ended: gdb only sees a connection close."""

    def __init__(self, pid: int) -> None:
        self.qemu = os.pidfd_open(pid)  # readable once it has ended
        gdb.events.exited.connect(self.exited)
        gdb.events.before_prompt.connect(self.look)

    def exited(self, event: gdb.ExitedEvent) -> None:
        """If there is an exit code, the guest ended by itself, and gdb says so."""
        if hasattr(event, "exit_code"):
            self.forget()

    def look(self) -> None:
        if gdb.selected_inferior().pid:
            return
        if select.select([self.qemu], [], [], 0.2)[0]:  # gdb may be told first
            Path(os.environ["LAB_LOST"]).touch()
            terminal.write(
                "QEMU has ended, and the guest with it: type quit, which says more.\n"
            )
        self.forget()

    def forget(self) -> None:
        gdb.events.exited.disconnect(self.exited)
        gdb.events.before_prompt.disconnect(self.look)
        os.close(self.qemu)


def load_lx_commands(vmlinux: Path) -> None:
    """Load the kernel's own commands, which are in a file beside vmlinux.

    gdb would load it by itself from a folder in its auto-load safe-path; but there a
    colon in the folder's name would separate two folders.
    """
    loads = getattr(sys.modules["__main__"], "loaded_by_gdb", True)
    gdb.execute(f"set auto-load python-scripts {'on' if loads else 'off'}")
    with settings.needed():
        # As gdb would: the file relies on what gdb has imported in __main__
        known = {"gdb": gdb, "os": os, "sys": sys}
        runpy.run_path(str(vmlinux.with_name("vmlinux-gdb.py")), known)


def allow_ctrl_c() -> None:
    """End the lab if Ctrl-C was pressed while gdb started; from now on gdb obeys it.

    open_gdb() in scripts/guest.sh has blocked it until here.
    """
    if signal.SIGINT in signal.sigpending():
        print("interrupted while gdb started: the lab ends.", file=sys.stderr)
        gdb.execute("quit 130")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


sys.path.insert(0, os.path.join(os.getcwd(), "gdb"))
try:
    from lab.replay import session  # found only now
    from lab.target import gdb_debugger, settings, terminal, unforeseen, vmlinux
except Exception as problem:
    kind = type(problem).__name__
    print(f"gdb's Python cannot load the lab: {kind}: {problem}", file=sys.stderr)
    gdb.execute("quit 1")

with unforeseen.reported("the guest cannot be reached"):
    load_lx_commands(Path(gdb.objfiles()[0].filename))
    gdb_debugger.connect(os.environ["LAB_SOCKET"])
    session.register([])
    allow_ctrl_c()
    Path(os.environ["LAB_STARTED"]).touch()
    Confirmation()
    Loss(int(os.environ["LAB_QEMU_PID"]))
    screen = REPLAY if session.active() else SCREEN
    port, tcp = os.environ.get("PORT") or "1234", os.environ.get("GDB_TCP")
    terminal.write(
        screen.format(
            release=vmlinux.release(),
            console="make console" + (f" PORT={port}" if port != "1234" else ""),
            tcp=TCP.format(port=tcp) if tcp else "",
        )
    )
