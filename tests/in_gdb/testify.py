# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, stopped in the witness's call: keep its snapshot, answer questions.

LAB_GIVEN is the file for the snapshot's records; see user/witness.c. Afterwards
answer(command, file) runs a gdb command and writes what it said.
"""

import json
import os
import struct
import traceback

import gdb

HEAD = struct.Struct("<24sQQ")  # of struct testimony, behind the struct segment_info
STEP = 1 << 18


def fetch(name: str) -> None:
    """Read the snapshot out of the witness's memory into a file."""
    from lab import mm, payload
    from lab.commands.seginfo import check

    hit = check.hits[-1]
    at = hit.info + payload.SIZE
    raw = mm.access_process_vm(hit.mm, at, HEAD.size)
    magic, size, records = HEAD.unpack(raw)
    assert magic.rstrip(b"\0") == b"witness snapshot", magic
    with open(name, "wb") as file:
        for done in range(0, size, STEP):
            step = min(STEP, size - done)
            file.write(mm.access_process_vm(hit.mm, records + done, step))


def answer(command: str, name: str) -> None:
    """Run a gdb command; the file NAME appears when it is whole."""
    said, error = "", ""
    try:
        said = gdb.execute(command, to_string=True)
    except gdb.error as problem:
        error = str(problem)
    except BaseException:
        error = traceback.format_exc()
    with open(f"{name}.part", "w", encoding="utf-8") as file:
        json.dump({"said": said, "error": error}, file)
    os.rename(f"{name}.part", name)


fetch(os.environ["LAB_GIVEN"])
