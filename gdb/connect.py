# SPDX-License-Identifier: GPL-2.0-only
"""Connect gdb to the paused guest and say what to type next: make debug, make replay."""

import os
import sys

import gdb

SCREEN = """
Linux {release} is paused before its first instruction. Type next:

    source gdb/seginfo.py     set the breakpoint and load the lab
    continue                  run to the first call of segment_info, and check it

    help seginfo              what the check does
    help lab                  the commands to look around with
    lx-ps, lx-dmesg, ...      the kernel's own commands
    make console              the guest's console, in another terminal
    quit                      ends gdb and the guest
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


class Asking:
    """While the guest runs gdb asks what it would otherwise just do.

    If a second Ctrl-C comes before QEMU has obeyed the first, that is to give the guest
    up. At the prompt it is as the person wants it.
    """

    def __init__(self) -> None:
        self.wanted: bool | None = None  # at the prompt; None while it is so
        gdb.events.cont.connect(self.runs)
        gdb.events.before_prompt.connect(self.stands)

    def runs(self, event: gdb.ContinueEvent) -> None:
        if self.wanted is None:
            self.wanted = gdb.parameter("confirm")
            gdb.execute("set confirm on")

    def stands(self) -> None:
        if self.wanted is not None:
            gdb.execute(f"set confirm {'on' if self.wanted else 'off'}")
            self.wanted = None


sys.path.insert(0, os.path.join(os.getcwd(), "gdb"))
from lab import kernel, replay, terminal, unforeseen  # noqa: E402 (found only now)

with unforeseen.said("the guest cannot be reached"):
    kernel.connect(os.environ["LAB_SOCKET"])
    Asking()
    screen = REPLAY if replay.active() else SCREEN
    terminal.write(screen.format(release=kernel.release()))
