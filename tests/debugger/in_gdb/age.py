# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: how long ago the QEMU of this lab was started, in seconds.

Sourced at the first hit, before anything else is done there.
"""

import json
import os
import time
from pathlib import Path

now = time.clock_gettime(time.CLOCK_BOOTTIME)
stub = f"unix:{Path(os.environ['LAB_SOCKET']).with_name('stub')},server=on,wait=off"
[guest] = [
    entry.parent
    for entry in Path("/proc").glob("[0-9]*/cmdline")
    if stub.encode() in entry.read_bytes().split(b"\0")
]
# Field 22 in proc(5)'s stat, counted after the name, which may contain spaces
started = int((guest / "stat").read_text().rpartition(")")[2].split()[19])
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(now - started / os.sysconf("SC_CLK_TCK"), out)
