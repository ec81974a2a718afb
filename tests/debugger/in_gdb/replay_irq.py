# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: trace all interrupts of a replay twice from its first hit on."""

import sys

sys.path.insert(0, "tests/debugger/in_gdb")
from replay import done, json_of, run  # noqa: E402

run("seginfo disarm")
traces = []
for _ in range(2):
    run("lab goto 1")
    events, *_ = json_of("lab trace irq all --limit 30")
    traces.append(events["data"])
done(traces)
