# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: stop during an exec, and run commands there.

LAB_GIVEN: {"functions": places to stop at, "commands": lab commands}. The result has,
for each function that this kernel has, the output or error of each command, and how many
areas the address space has according to map_count.
"""

import json
import os

import gdb

GIVEN = json.loads(os.environ["LAB_GIVEN"])
COMM = "program"  # the name of PROGRAM in the image


def run(command: str) -> dict[str, str]:
    try:
        return {"output": gdb.execute(f"lab {command} --json", to_string=True)}
    except gdb.error as problem:
        return {"error": str(problem)}


def stop_in(function: str) -> dict[str, object]:
    """Stop there when the program execs, not the shell before it."""
    from lab.linux import task

    place = f"*{int(gdb.parse_and_eval(f'(unsigned long)&{function}')):#x}"
    stop = gdb.Breakpoint(place, gdb.BP_HARDWARE_BREAKPOINT, internal=True)
    stop.silent = True
    while True:
        gdb.execute("continue", to_string=True)
        current = task.get_current()
        if task.task(current).comm == COMM:
            break
    stop.delete()
    mm = gdb.Value(task.task(current).mm).cast(
        gdb.lookup_type("struct mm_struct").pointer()
    )
    return {
        "map_count": int(mm["map_count"]),
        "commands": {command: run(command) for command in GIVEN["commands"]},
    }


found = {}
for name in GIVEN["functions"]:
    try:
        gdb.parse_and_eval(f"&{name}")
    except gdb.error:
        continue  # inlined in this kernel
    found[name] = stop_in(name)
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(found, file)
