# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: run every command on every process with certain names.

LAB_GIVEN: {"names": the beginnings of their comms, "commands": lab commands with {pid}}.
The result has, by comm and command, its output or error, how many seconds it took, and by
how many MiB gdb has grown.
"""

import json
import os
import resource
import time

import gdb
from lab.linux import task

GIVEN = json.loads(os.environ["LAB_GIVEN"])


def peak() -> int:
    """Return the most memory that gdb ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run(command: str) -> dict[str, object]:
    found: dict[str, object] = {"output": "", "error": ""}
    before, start = peak(), time.monotonic()
    try:
        found["output"] = gdb.execute(command, to_string=True)
    except gdb.error as problem:
        found["error"] = str(problem)
    return found | {"seconds": time.monotonic() - start, "grown": peak() - before}


answers = {}
for process in map(task.task, task.for_each_process()):
    if process.comm.startswith(tuple(GIVEN["names"])):
        answers[process.comm] = {
            command: run(f"lab {command.format(pid=process.pid)}")
            for command in GIVEN["commands"]
        }
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(answers, file)
