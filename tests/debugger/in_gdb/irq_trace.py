# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: lab trace irq all between the two marks of tests/guest/programs/interrupts.c.

Or up to the number of events in $LAB_GIVEN, whichever comes first. With the kernel's own
counts at the start and at the end, as lab irqs has them.
"""

import json
import os
import sys

import gdb

sys.path.insert(0, "tests")
from support.reports import parts  # noqa: E402

MARK = "*__x64_sys_sched_get_priority_max"


def counts():
    text = gdb.execute("lab irqs --json", to_string=True)
    _, interrupts, softirqs, _ = parts(text)
    found = {row["irq"]: row["by_cpu"] for row in interrupts["rows"]}
    found |= {row["softirq"]: row["by_cpu"] for row in softirqs["rows"]}
    return {name: [int(n) for n in text.split()] for name, text in found.items()}


gdb.execute(f"hbreak {MARK}", to_string=True)
gdb.execute("continue", to_string=True)
before = counts()
limit = json.loads(os.environ["LAB_GIVEN"])
text = gdb.execute(f"lab trace irq all --limit {limit} --json", to_string=True)
after = counts()
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump({"before": before, "trace": parts(text), "after": after}, file)
