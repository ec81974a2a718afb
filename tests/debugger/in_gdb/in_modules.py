# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: stop in functions of the next module that is loaded, and ask there.

Given are the commands by function, as {"FUNCTION": [COMMAND, ...], ...}; "END" are those to
run at the first call of segment_info(). The result is a list of stops in their order, each
with the function, its first three arguments, and the answers, decoded if they are JSON.
"""

import json
import os
import sys

import gdb

sys.path.insert(0, "tests")
from support.reports import parts  # noqa: E402

given = json.loads(os.environ["LAB_GIVEN"])
END = "END"


def answer(command):
    """Return the output of a command, decoded, or its error."""
    try:
        text = gdb.execute(command, to_string=True)
    except gdb.error as refusal:
        return f"error: {refusal}"
    return parts(text) if text.startswith("{") else text


def register(name):
    """Return a register as an unsigned number."""
    return int(gdb.parse_and_eval(f"(unsigned long)${name}")) % (1 << 64)


gdb.execute("thbreak do_init_module", to_string=True)
gdb.execute("continue", to_string=True)
from lab.linux import module  # noqa: E402 (seginfo.py has put it there)

places = {}
for function in given:
    if function != END:
        (symbol,) = module.named(function)
        places[symbol.start] = function
        gdb.execute(f"hbreak *{symbol.start:#x}", to_string=True)
gdb.execute("thbreak __x64_sys_segment_info", to_string=True)
stops = []
before = None
while True:
    gdb.execute("continue", to_string=True)
    where = places.get(register("rip"), END)
    arguments = [register(name) for name in ("rdi", "rsi", "rdx")]
    state = [where, arguments, register("rsp"), register("rbp")]
    if state == before:
        continue  # gdb may reach a breakpoint twice
    before = state
    stop = {"function": where, "arguments": arguments}
    stop["answers"] = [answer(command) for command in given.get(where, [])]
    stops.append(stop)
    if where == END:
        break
gdb.execute("delete", to_string=True)
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(stops, file)
