# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: the parameters of every system call, as lab trace syscall knows them."""

import json
import os

from lab.linux import syscalls as arguments
from lab.trace import syscall

found = {
    name: [[parameter.name, parameter.type] for parameter in arguments.parameters(name)]
    for name in syscall.all_names()
}
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(found, file)
