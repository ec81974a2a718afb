# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: single steps back and forth, breakpoints, jumps into the middle of calls."""

import random
import sys

import gdb

sys.path.insert(0, "tests/debugger/in_gdb")
from replay import (  # noqa: E402
    all_hits,
    check,
    done,
    moments,
    number_of,
    place,
    run,
    session,
    state,
)

result: dict = {}
rows = moments()
hits = [row["instruction"] for row in rows if row["kind"].startswith("hit")]
start, end = rows[0]["instruction"], rows[-1]["instruction"]
random.seed(4)

steps = []
for count in (
    *hits,
    hits[0] - 1,
    end,
    *(random.randrange(start + 1, end) for _ in range(6)),
):
    gdb.execute(f"lab goto #{count}")
    before = state()
    gdb.execute("reverse-stepi")
    one_back = place()
    gdb.execute("stepi")
    steps.append([count, before, one_back, state()])
result["steps"] = steps

# The person's own breakpoints, one of them disabled, during moves back and jumps
gdb.execute("hbreak segment_info_fill")
gdb.execute("disable 1")
gdb.execute(f"lab goto #{end}")
own = []
for _ in hits * 2:
    gdb.execute("reverse-continue")
    own.append([place(), gdb.selected_frame().name()])
result["own breakpoint"] = own
stops = [stop for stop in gdb.breakpoints() if stop.number > 0]
result["enabled"] = [[stop.number, stop.enabled] for stop in stops]
gdb.execute("delete 2")
gdb.execute("enable 1")

# From the middle of one call into another one, whose entry was never seen
check.hits.clear()
calls = []
for first, second in ((0, 1), (1, 2), (2, 0), (1, 0), (0, 2)):
    gdb.execute(f"lab goto #{hits[first] - 30000}")
    gdb.execute("tbreak segment_info_fill")
    gdb.execute("continue")  # into the call
    for less in (5000, 1000, 2):
        gdb.execute(f"lab goto #{hits[second] - less}")
        gdb.execute("continue")
        calls.append([place() == hits[second], len(check.calls)])
result["into calls"] = calls
result["passed"] = all(hit.passed for hit in check.hits)
result["errors"] = check.errors

# A hit found in this session becomes a moment, with a checkpoint
middle = hits[0] + 250_000
gdb.execute(f"lab goto #{middle}")
result["checkpoint"] = [
    session.checkpoint("something"),
    session.checkpoint("something"),
]
mine = [row for row in moments() if row["kind"] == "event"]
gdb.execute("lab goto 0")
gdb.execute(f"lab goto {mine[0]['moment']}")
result["event"] = [mine, middle, place()]
result["beyond"] = [
    run(f"lab goto {word}") for word in (len(rows) + 1, "x", f"#{end + 1}")
]
result["hits"] = all_hits()
result["numbers"] = [number_of("hit 1"), number_of("hit 2")]
done(result)
