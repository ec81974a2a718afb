# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: how long going back takes, with all checkpoints and with the first alone.

$LAB_GIVEN is the number of repeats. Measured in seconds: an instruction back from every
hit, and from every hit but the first to the previous one.
"""

import sys
import time

import gdb

sys.path.insert(0, "tests/debugger/in_gdb")
from replay import GIVEN, check, done, number_of, place, session  # noqa: E402

HITS = 3


def seconds(command: str) -> float:
    started = time.perf_counter()
    gdb.execute(command, to_string=True)
    return time.perf_counter() - started


def measure(repeats: int) -> dict[str, list[float]]:
    steps, runs, jumps = [], [], []
    for _ in range(repeats):
        for number in range(HITS, 0, -1):
            jumps.append(seconds(f"lab goto {number_of(f'hit {number}')}"))
            steps.append(seconds("reverse-stepi"))
        gdb.execute(f"lab goto {number_of(f'hit {HITS}')}")
        for number in range(HITS - 1, 0, -1):
            runs.append(seconds("reverse-continue"))
            assert place() == hits[number - 1], "not at the hit before"
    return {"reverse_stepi_s": steps, "reverse_continue_s": runs, "goto_s": jumps}


hits = []
for _ in range(HITS):
    gdb.execute("continue")
    hits.append(place())
assert len(check.hits) == HITS
checkpoints = session.this().checkpoints
result = {"checkpoints": len(checkpoints), "with": measure(GIVEN)}
first = checkpoints.first
for count, name in list(checkpoints.names.items()):
    if count != first:
        gdb.execute(f"monitor delvm {name}", to_string=True)
        del checkpoints.names[count]
checkpoints.full = True  # no new ones are made
result["without"] = measure(1)
done(result)
