# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: at the start of a replay, and back there in every way."""

import re
import sys

import gdb

sys.path.insert(0, "tests/debugger/in_gdb")
from replay import done, place, run  # noqa: E402


def stands() -> list[int]:
    """Return the instructions so far, and the address."""
    return [place(), int(gdb.parse_and_eval("$pc"))]


stood = [stands()]
gdb.execute("continue")
gdb.execute("lab goto 0")
stood.append(stands())
gdb.execute("stepi 3")
gdb.execute("reverse-continue")
stood.append(stands())
gdb.execute("seginfo disarm")
gdb.execute("hbreak panic")
gdb.execute("lab goto 3")
gdb.execute("reverse-continue")
stood.append(stands())
snapshots = gdb.execute("monitor info snapshots", to_string=True)
done(
    {
        "stood": stood,
        "entry": int(gdb.parse_and_eval("(long)&pvh_start_xen")) & 0x7FFF_FFFF,
        "checkpoints": [
            int(number) for number in re.findall(r" (\d+)\r?$", snapshots, re.M)
        ],
        "before": run(f"lab goto #{stood[0][0] - 1}"),
    }
)
