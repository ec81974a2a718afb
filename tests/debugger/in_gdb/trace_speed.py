# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: how long a part of a program takes, untraced and with the timeline given.

The program reaches MARK before, between and after two equal parts. A breakpoint there ends
the timeline.
"""

import json
import os
import time

import gdb

MARK = "*__x64_sys_sched_get_priority_max"


def seconds(command: str) -> float:
    started = time.perf_counter()
    gdb.execute(command, to_string=True)
    return time.perf_counter() - started


gdb.execute(f"hbreak {MARK}", to_string=True)
gdb.execute("continue", to_string=True)
untraced = seconds("continue")
started = time.perf_counter()
kind = json.loads(os.environ["LAB_GIVEN"])
output = gdb.execute(f"lab trace {kind} --limit 100000 --json", to_string=True)
traced = time.perf_counter() - started
events = json.JSONDecoder().raw_decode(output)[0]["events"]
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(
        {"events": len(events["data"]), "untraced_s": untraced, "traced_s": traced},
        file,
    )
