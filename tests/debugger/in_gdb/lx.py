# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: the output of every lx- command and $lx_ function, before boot and at a hit.

Given: what to type for a command or function that needs arguments; and "names", in hex,
which a process of the guest gives itself.
"""

import json
import os
import re

import gdb

GIVEN: dict[str, list[str]] = json.loads(os.environ["LAB_GIVEN"])


def names() -> list[str]:
    """List the names that gdb knows, functions with a $."""
    found = gdb.execute("apropos lx[-_]", to_string=True)
    commands = re.findall(r"^(lx-[\w-]+)(?:, .*)? -- ", found, re.M)
    functions = re.findall(r"^function (lx_\w+) -- ", found, re.M)
    return commands + ["$" + name for name in functions]


def typed(line: str) -> dict[str, str]:
    """Return the output of a line and its error, as a person sees them."""
    try:
        return {"output": gdb.execute(line, to_string=True), "failed": ""}
    except gdb.error as problem:
        return {"output": "", "failed": str(problem)}


def all_of_them() -> dict[str, dict[str, dict[str, str]]]:
    return {
        name: {line: typed(line) for line in GIVEN.get(name, [name])}
        for name in names()
    }


def symbol() -> str:
    """Are the kernel's symbols loaded?"""
    return typed("info address init_task")["output"]


result = {"before": all_of_them(), "symbols_before": symbol()}
gdb.execute("source gdb/seginfo.py")
gdb.execute("continue")
result["hit"] = all_of_them()
result["symbols_hit"] = symbol()
result["breakpoints"] = gdb.execute("maint info breakpoints", to_string=True)

# A program may give itself any name.
comm = gdb.parse_and_eval("$lx_current().comm")
result["hostile"] = []
for name in GIVEN["names"]:
    raw = bytes.fromhex(name)[:15].ljust(16, b"\0")
    gdb.selected_inferior().write_memory(int(comm.address), raw)
    result["hostile"].append(typed("lx-ps"))
gdb.execute("seginfo disarm")
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(result, file)
