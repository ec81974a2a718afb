# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: trace a replay twice from the start, and visit each event in between."""

import sys

import gdb

sys.path.insert(0, "tests/debugger/in_gdb")
from replay import done, json_of, moments, run, state  # noqa: E402

run("seginfo disarm")
first, *_, ended = json_of("lab trace mmap")
events = [row for row in moments() if row["kind"].startswith("event")]
visits = []
for row in events:
    output = run(f"lab goto {row['moment']}")
    visits.append([row["instruction"], state()[0], output])
run("lab goto 0")
second, *_ = json_of("lab trace mmap")
after = [row for row in moments() if row["kind"].startswith("event")]
breakpoints = gdb.execute("maintenance info breakpoints", to_string=True)
done(
    {
        "first": first["data"],
        "second": second["data"],
        "ended": ended,
        "events": events,
        "after": after,
        "visits": visits,
        "breakpoints": breakpoints,
    }
)
