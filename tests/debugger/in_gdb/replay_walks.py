# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: visit every moment in the order of time, then in the given order.

Each visit notes the registers, as gdb and as QEMU have them, and the output of the lab's
commands, which read the RAM file. It must always be the same.
"""

import sys

import gdb

sys.path.insert(0, "tests/debugger/in_gdb")
from replay import GIVEN, done, json_of, moments, run, state  # noqa: E402

COMMANDS = "current", "ps", "threads", "vmas", "mm", "task", "kstack", "files", "elf"


def seen(number: int) -> list:
    """Return what there is to see at a moment; an error is a string."""
    output = run(f"lab goto {number}")
    answers = []
    for command in COMMANDS:
        try:
            answers.append(json_of(f"lab {command}"))
        except gdb.error as error:
            answers.append(str(error))
    return [state(), output, answers]


rows = moments()
first = [seen(number) for number in range(len(rows))]
different = []
for number in GIVEN:
    if seen(number) != first[number]:
        different.append(number)
done({"moments": rows, "first": first, "different": different})
