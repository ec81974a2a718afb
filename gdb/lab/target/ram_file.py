# SPDX-License-Identifier: GPL-2.0-only
"""The RAM file: QEMU's memory-backend-file, found by asking QEMU, and mapped."""

from __future__ import annotations

import mmap
import os
import re
from dataclasses import dataclass

import gdb

from .memory import Fault


@dataclass(frozen=True)
class Block:
    """A run of guest-physical addresses and where it starts in the RAM file."""

    start: int
    end: int
    offset: int


class RamFile:
    """The RAM file of QEMU's memory-backend-file, mapped read-only."""

    def __init__(self, path: str, blocks: list[Block]) -> None:
        self.name = f"RAM file {path}"
        self.path = path
        self.blocks = blocks
        with open(path, "rb") as ram:
            self.ram = mmap.mmap(ram.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)

    def locate(self, address: int, size: int) -> tuple[mmap.mmap, int]:
        for block in self.blocks:
            if block.start <= address and address + size <= block.end:
                return self.ram, address - block.start + block.offset
        raise Fault(address, "no RAM at this physical address")


def find_ram_file() -> RamFile | None:
    """The RAM file of the QEMU behind the stub, None if there is none.

    Asks QEMU's monitor through the stub, so it works for any QEMU that was
    given a shared memory-backend-file, whoever started it.
    """
    for backend in _backends():
        path = _monitor(f"qom-get /objects/{backend} mem-path").strip().strip('"')
        if _monitor(f"qom-get /objects/{backend} share").strip() != "true":
            continue
        blocks = _blocks(_monitor("info mtree -f"), backend)
        # With a folder as mem-path QEMU deletes the file in it at once
        if blocks and os.path.isfile(path) and os.access(path, os.R_OK):
            return RamFile(path, blocks)
    return None


def _monitor(command: str) -> str:
    try:
        return gdb.execute(f"monitor {command}", to_string=True) or ""
    except gdb.error:
        return ""


def _backends() -> list[str]:
    return re.findall(
        r"^(\S+) \(child<memory-backend-file>\)", _monitor("qom-list /objects"), re.M
    )


def _blocks(mtree: str, backend: str) -> list[Block]:
    """Where the backend's bytes stand in guest-physical memory.

    From the flat view of address space "memory": a hole, such as PCI's below
    4 GiB, has no line, and a line behind one tells its offset in the file.
    """
    for view in mtree.split("FlatView")[1:]:
        if not re.search(r'AS "memory"', view):
            continue
        lines = re.findall(
            r"^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ram\): "
            + re.escape(backend)
            + r"(?=[ \r\n]|$)"
            + r"(?: @([0-9a-f]{16}))?",
            view,
            re.M,
        )
        return [
            Block(int(start, 16), int(end, 16) + 1, int(offset or "0", 16))
            for start, end, offset in lines
        ]
    return []
