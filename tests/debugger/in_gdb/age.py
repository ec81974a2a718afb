# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: how long ago the QEMU of this lab was started, in seconds.

Sourced at the first hit, before anything else is done there.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, "tests")

from support import labs  # noqa: E402 (found only now)

now = time.clock_gettime(time.CLOCK_BOOTTIME)
stub = f"unix:{Path(os.environ['LAB_SOCKET']).with_name('stub')},server=on,wait=off"
[guest] = [
    Path(f"/proc/{pid}")
    for pid, cmdline in labs.processes("cmdline")
    if stub.encode() in cmdline.split(b"\0")
]
# Field 22 in proc(5)'s stat, counted after the name, which may contain spaces
started = int((guest / "stat").read_text().rpartition(")")[2].split()[19])
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(now - started / os.sysconf("SC_CLK_TCK"), out)
