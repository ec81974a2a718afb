# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: where the RAM file's bytes are, for a QEMU paused at its reset."""

import json
import os
import sys

import gdb

sys.path.insert(0, "gdb")
from lab.target import gdb_debugger, memory, ram_file  # noqa: E402 (found only now)


def fault_of(ram: ram_file.RamFile, address: int, size: int) -> str:
    """Return how a read fails, "" if it does not."""
    try:
        ram.locate(address, size)
    except memory.Fault as fault:
        return str(fault)
    return ""


ram = gdb_debugger.GdbDebugger().physical()
result = {"name": None}
if ram is not None:
    last = ram.blocks[-1].end
    result = {
        "name": ram.name,
        "blocks": [[block.start, block.end, block.offset] for block in ram.blocks],
        "holes": {
            name: fault_of(ram, address, size)
            for name, address, size in (
                ("VGA", 0xA0000, 8),
                ("PCI", 0xE0000000, 8),
                ("into PCI", 0xC0000000 - 4, 8),
                ("behind all", last, 1),
                ("over the end", last - 4, 8),
                ("negative", -8, 8),
            )
        },
        "fine": fault_of(ram, last - 8, 8),
    }
    for name, address in (("low", 0x200000), ("high", (4 << 30) + 0x5678)):
        if address < last:
            buffer, offset = ram.locate(address, 16)
            result[name] = [
                bytes(buffer[offset : offset + 16]).decode("latin-1"),
                gdb.execute(f"monitor xp /16xb {address:#x}", to_string=True),
            ]
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(result, out)
