# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, at the reset: how often the lab's program enters functions of the kernel.

$LAB_GIVEN is their names; the number of one that gdb does not know is null.
"""

import json
import os
from collections import Counter

import gdb
from lab.linux.task import get_current, task

PROGRAM = "/lab/program"
calls: Counter[str] = Counter()


class Entered(gdb.Breakpoint):
    """Count how often it is reached, and never stop."""

    def __init__(self, function: str) -> None:
        super().__init__(function, internal=True)
        self.silent = True
        self.function = function

    def stop(self) -> bool:
        if task(get_current()).comm == os.path.basename(PROGRAM):
            calls[self.function] += 1
        return False


started = f'hbreak begin_new_exec if $_streq(bprm->filename, "{PROGRAM}")'
gdb.execute(started, to_string=True)
gdb.execute("continue", to_string=True)
breakpoints = [Entered(name) for name in json.loads(os.environ["LAB_GIVEN"])]
gdb.execute("continue", to_string=True)
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    known = [entered for entered in breakpoints if not entered.pending]
    json.dump(
        dict.fromkeys(entered.function for entered in breakpoints)
        | {entered.function: calls[entered.function] for entered in known},
        file,
    )
