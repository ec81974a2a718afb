# SPDX-License-Identifier: GPL-2.0-only
"""What user addresses of a process belong to: its areas, asked for by address."""

from __future__ import annotations

import bisect
import os

from . import vma
from .memory import PAGE_SIZE, Broken, Fault
from .mm import mm_struct
from .printable import text_of

VM_EXEC, VM_GROWSDOWN = 0x4, 0x100  # include/linux/mm.h


class Places:
    """The areas of an address space as they are at this stop.

    Parameters: struct mm_struct *, and the struct path * of the directory from
    which names of files are told. A list of areas that is broken is known as
    far as it could be read. Raises memory.Fault.
    """

    def __init__(self, mm: int, root: int) -> None:
        self.mm = mm_struct(mm)
        self.root = root
        self.areas: list[tuple] = []
        try:
            for _, area in vma.for_each_vma(mm):
                self.areas.append(area)
        except Broken:
            pass
        self.starts = [area.vm_start for area in self.areas]

    def find(self, address: int) -> tuple | None:
        """The area around an address, None in a gap: vma_lookup() in mm.h."""
        before = bisect.bisect_right(self.starts, address)
        if not before or address >= self.areas[before - 1].vm_end:
            return None
        return self.areas[before - 1]

    def above(self, address: int) -> tuple | None:
        """The first area that starts behind an address, None if none does."""
        after = bisect.bisect_right(self.starts, address)
        return self.areas[after] if after < len(self.areas) else None

    def name(self, area: tuple) -> str:
        """What /proc/PID/maps calls an area; "[anon]" for what it does not name."""
        try:
            name = vma.vma_name(area, self.mm, self.root)
        except Fault:
            return "[unreadable name]"
        return text_of(name) or "[anon]"

    def path(self, area: tuple) -> str:
        """The same as a name of files, in which nothing is escaped; "" if unknown."""
        try:
            return os.fsdecode(vma.vma_name(area, self.mm, self.root))
        except Fault:
            return ""

    def text(self, address: int) -> str:
        """NAME+OFFSET of an address, "" in a gap.

        The offset is in the file that is mapped, else from the area's start.
        """
        area = self.find(address)
        if area is None:
            return ""
        return f"{self.name(area)}+{offset(area, address):#x}"

    def is_code(self, address: int) -> bool:
        """May the process execute what is there?"""
        area = self.find(address)
        return area is not None and bool(area.vm_flags & VM_EXEC)


def offset(area: tuple, address: int) -> int:
    """How far an address is into the mapped file, or into an area without one."""
    inside = address - area.vm_start
    return inside + area.vm_pgoff * PAGE_SIZE if area.vm_file else inside
