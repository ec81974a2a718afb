# SPDX-License-Identifier: GPL-2.0-only
"""Connect gdb to the paused guest and say what to type next: `make debug`."""

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


sys.path.insert(0, os.path.join(os.getcwd(), "gdb"))
from lab import kernel  # noqa: E402 (found only now)

kernel.connect(os.environ["LAB_PORT"])
gdb.write(SCREEN.format(release=kernel.release()))
