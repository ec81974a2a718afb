# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, with symbols only: addresses by name, of the lab and of gdb itself.

Given are names. The result is a list of the name and both addresses, null where one knows
none.
"""

import json
import os
import sys

import gdb

sys.path.insert(0, "gdb")
from lab.target.gdb_debugger import GdbDebugger  # noqa: E402
from lab.target.symbols import Missing  # noqa: E402

debugger = GdbDebugger()
result = []
for name in json.loads(os.environ["LAB_GIVEN"]):
    try:
        ours = debugger.address_of(name)
    except Missing:
        ours = None
    try:
        theirs = int(gdb.parse_and_eval(f"(unsigned long)&'{name}'"))
    except gdb.error:
        theirs = None
    result.append([name, ours, theirs])
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(result, file)
