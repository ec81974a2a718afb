# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: how long a timeline takes from a kernel function on, and its events.

LAB_GIVEN has the function, and the command without --json.
"""

import json
import os
import time

import gdb

function, command = json.loads(os.environ["LAB_GIVEN"])
gdb.execute(f"thbreak *{function}", to_string=True)
gdb.execute("continue", to_string=True)
started = time.perf_counter()
output = gdb.execute(f"{command} --json", to_string=True)
taken = time.perf_counter() - started
events = json.JSONDecoder().raw_decode(output)[0]["events"]
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump({"events": len(events["data"]), "traced_s": taken}, file)
