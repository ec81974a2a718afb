# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, stopped in the call of tests/guest/programs/execs.c: ask about its children, and for
the kernel's options."""

import json
import os

import gdb
from lab.linux import configs
from lab.target import kernel


def lab(command: str) -> dict:
    """The report of `lab COMMAND`."""
    return json.loads(gdb.execute(f"lab {command} --json", to_string=True))


names = ("static", "static-pie", "dynamic-pie")
found = {
    row["pid"]: lab(f"random {row['pid']}")
    for row in lab("ps")["processes"]["rows"]
    if row["comm"] in names
}
found["options"] = configs.options(kernel.memory().read)
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(found, file)
