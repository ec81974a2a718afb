# SPDX-License-Identifier: GPL-2.0-only
"""The RAM file: QEMU's memory-backend-file, found by asking QEMU, and mapped."""

from __future__ import annotations

import mmap
import os
import re
from typing import Callable

from .memory import Fault
from .physical import Block


class RamFile:
    """A file with the guest's RAM, mapped read-only: QEMU's own, or a core file."""

    def __init__(self, path: str, blocks: list[Block], kind: str = "RAM file") -> None:
        self.name = f"{kind} {path}"
        self.path = path
        self.blocks = blocks
        with open(path, "rb") as ram:
            self.ram = mmap.mmap(ram.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)

    def locate(self, address: int, size: int) -> tuple[mmap.mmap, int]:
        for block in self.blocks:
            if block.start <= address and address + size <= block.end:
                return self.ram, address - block.start + block.offset
        raise Fault(address, "no RAM at this physical address")


Monitor = Callable[[str], str]  # what QEMU's monitor answers to a command, or ""


def find_ram_file(monitor: Monitor) -> RamFile | None:
    """The RAM file of the QEMU behind a monitor, None if there is none.

    It works for any QEMU that was given a shared memory-backend-file, whoever started
    it.
    """
    for backend in _backends(monitor):
        path = monitor(f"qom-get /objects/{backend} mem-path").strip().strip('"')
        if monitor(f"qom-get /objects/{backend} share").strip() != "true":
            continue
        blocks = _blocks(monitor("info mtree -f"), backend)
        # With a folder as mem-path QEMU deletes the file in it at once
        if blocks and os.path.isfile(path) and os.access(path, os.R_OK):
            return RamFile(path, blocks)
    return None


def _backends(monitor: Monitor) -> list[str]:
    pattern = r"^(\S+) \(child<memory-backend-file>\)"
    return re.findall(pattern, monitor("qom-list /objects"), re.M)


def _blocks(mtree: str, backend: str) -> list[Block]:
    """Where the backend's bytes stand in guest-physical memory.

    From the flat view of address space "memory": a hole, such as PCI's below
    4 GiB, has no line, and the line after one has its offset in the file.
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
