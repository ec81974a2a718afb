# SPDX-License-Identifier: GPL-2.0-only
"""Inside drgn: time what it finds at addresses; prints the seconds of each as JSON.

    drgn -c DUMP -s VMLINUX identify_speed.py ADDRESS...
"""

import json
import statistics
import sys
import time

from drgn import Program
from drgn.helpers.common.memory import identify_address

REPEATS = 11
prog: Program


def seconds(address: int) -> float:
    took: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        identify_address(prog, address)
        took.append(time.perf_counter() - started)
    return statistics.median(took)


print(json.dumps([seconds(int(word, 16)) for word in sys.argv[1:]]))
