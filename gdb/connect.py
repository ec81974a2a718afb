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


sys.path.insert(0, os.path.join(os.getcwd(), "gdb"))
from lab import kernel, replay  # noqa: E402 (found only now)

kernel.connect(os.environ["LAB_PORT"])
screen = REPLAY if replay.active() else SCREEN
gdb.write(screen.format(release=kernel.release()))
