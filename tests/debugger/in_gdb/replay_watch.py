# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, at the first hit: which instruction wrote each of some bytes of the payload?

Found by a watchpoint going back, by lab blame, and by a watchpoint going forward.
"""

import sys

import gdb

sys.path.insert(0, "tests/debugger/in_gdb")
from replay import (  # noqa: E402
    GIVEN,
    check,
    done,
    json_of,
    moments,
    number_of,
    place,
    registers,
    run,
)


def byte(address: int) -> int:
    return gdb.selected_inferior().read_memory(address, 1)[0][0]


gdb.execute("continue")
[hit] = check.hits
gdb.execute("seginfo disarm")
found = []
for offset in GIVEN:
    gdb.execute(f"lab goto {number_of('hit 1')}")
    address = hit.info + offset
    gdb.execute(f"watch -l *(char *){address:#x}")
    output, behind, after = run("reverse-continue"), place(), byte(address)
    functions, frame = [], gdb.newest_frame()
    while frame is not None and frame.is_valid() and len(functions) < 4:
        functions.append(frame.name())
        frame = frame.older()
    gdb.execute("delete")
    gdb.execute("reverse-stepi")
    before, writes_to = byte(address), registers()[5]  # %rdi of rep movs
    line = gdb.execute("x/i $pc", to_string=True)
    gdb.execute("stepi")
    found.append(
        {
            "output": output,
            "between": [behind, place()],
            "byte": [before, after, byte(address), hit.delivered[offset]],
            "instruction": line,
            "writes to": writes_to,
            "address": address,
            "functions": functions,
        }
    )


def last_change(address: int, start: int, end: int) -> int:
    """Return where a byte is changed last between two instructions, going forward."""
    gdb.execute(f"lab goto #{start}")
    gdb.execute(f"watch -l *(char *){address:#x}")
    last = 0
    while True:
        gdb.execute("continue")
        if place() > end:
            break
        last = place() - 1
    gdb.execute("delete")
    return last


def blamed(address: int) -> dict:
    """Return what lab blame says about a byte, and what going forward finds."""
    end = place()
    [table, code] = json_of(f"lab blame {address:#x}")
    [row] = table["rows"]
    here, source = place(), int(gdb.parse_and_eval("$rsi")) % (1 << 64)
    names = [gdb.newest_frame().name(), gdb.newest_frame().older().name()]
    forward = last_change(address, started, end)
    gdb.execute(f"lab goto #{here}")
    return {
        "row": row,
        "code": code,
        "here": here,
        "forward": forward,
        "source": source,
        "functions": names,
    }


started = next(
    row["instruction"]
    for row in moments()
    if row["kind"] == "exec" and row["comm"] == "demo"
)
gdb.execute(f"lab goto {number_of('hit 1')}")
name = hit.info + 88 + 16  # of the first area
in_user = blamed(name)
in_kernel = blamed(in_user["source"])
gdb.execute(f"lab goto {number_of('hit 1')}")
never = [place(), json_of("lab blame &linux_banner"), place()]
done({"never": never, "watched": found, "user": in_user, "kernel": in_kernel})
