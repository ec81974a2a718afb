# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, stopped in the witness's call: save its snapshot, answer questions.

LAB_GIVEN is the file for the snapshot's records; see user/witness.c. The file "pid" beside
it gets gdb's process id. Then answer(commands, file, limit) runs gdb commands and writes
their output.
"""

import faulthandler
import json
import os
import struct
import traceback

import gdb

HEAD = struct.Struct(
    "<24sQQ"
)  # struct testimony, without the struct segment_info before it
STEP = 1 << 18


def fetch(name: str) -> None:
    """Read the snapshot from the witness's memory into a file."""
    from lab.check import payload
    from lab.commands.seginfo import check
    from lab.linux import mm

    hit = check.hits[-1]
    at = hit.info + payload.SIZE
    raw = mm.access_process_vm(hit.mm, at, HEAD.size)
    magic, size, records = HEAD.unpack(raw)
    assert magic.rstrip(b"\0") == b"witness snapshot", magic
    with open(name, "wb") as file:
        for done in range(0, size, STEP):
            step = min(STEP, size - done)
            file.write(mm.access_process_vm(hit.mm, records + done, step))


def run(command: str) -> dict[str, str]:
    """Run a gdb command, and return its output and its error."""
    try:
        return {"output": gdb.execute(command, to_string=True), "error": ""}
    except gdb.error as problem:
        return {"output": "", "error": str(problem)}
    except BaseException:
        return {"output": "", "error": traceback.format_exc()}


def answer(commands: list[str], name: str, limit: float) -> None:
    """Run gdb commands, and write their output to the file NAME at once.

    After limit seconds NAME.where tells where gdb is.
    """
    with open(f"{name}.where", "w", encoding="utf-8") as where:
        faulthandler.dump_traceback_later(limit, file=where)
        replies = [run(command) for command in commands]
        faulthandler.cancel_dump_traceback_later()
    with open(f"{name}.part", "w", encoding="utf-8") as file:
        json.dump(replies, file)
    os.rename(f"{name}.part", name)


fetch(os.environ["LAB_GIVEN"])
with open(os.path.join(os.path.dirname(os.environ["LAB_GIVEN"]), "pid"), "w") as file:
    file.write(str(os.getpid()))
