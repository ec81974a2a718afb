# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: lab trace irq all between the two marks of tests/guest/programs/interrupts.c.

With the kernel's own counts at both, as lab irqs has them.
"""

import json
import os
import sys
import time

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
started = time.perf_counter()
text = gdb.execute("lab trace irq all --limit 9000 --json", to_string=True)
took = time.perf_counter() - started
after = counts()
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump({"before": before, "trace": parts(text), "after": after, "s": took}, file)
gdb.execute("delete", to_string=True)
gdb.execute("continue", to_string=True)
