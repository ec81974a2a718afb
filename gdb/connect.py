# SPDX-License-Identifier: GPL-2.0-only
"""Connect gdb to the paused guest and say what to type next: `make debug`."""

import os
import sys

import gdb

SCREEN = """
Linux {release} is paused before its first instruction. Type next:

    source gdb/seginfo.py     set the breakpoint and load the lab
    continue                  run to the first call of segment_info, and check it

    help seginfo    what the check does        lx-version, lx-ps   the kernel's own commands
    make console    (another terminal) the guest's console
    quit            ends gdb and the guest
"""


here = os.path.join(os.getcwd(), "gdb")
if here not in sys.path:
    sys.path.insert(0, here)
from lab import kernel  # noqa: E402 (found only now)

gdb.execute("set suppress-cli-notifications on")  # where a processor is after reset
gdb.execute(f"target remote 127.0.0.1:{os.environ['LAB_PORT']}", to_string=True)
gdb.execute("set suppress-cli-notifications off")
gdb.write(SCREEN.format(release=kernel.release()))
