# SPDX-License-Identifier: GPL-2.0-only
"""lab list: the list of areas, drawn."""

from __future__ import annotations

from ..linux import mm as mm_, vma
from ..result import Drawing, Result
from ..target.memory import Broken
from .base import LabCommand, mm_of
from .trees import namer, rules_table

NO_LIST = (
    "This kernel chains its areas no more: the list (vm_next, vm_prev) ended with "
    "Linux 6.1 (763ecb035029), when the maple tree mm->mm_mt came, whose leaves stand "
    "in order and can be read without a lock: see `lab maple`."
)


class List(LabCommand):
    """The list of areas, drawn: lab list [PID] [--json]

    From mm->mmap along vm_next, one line an area. A double arrow stands where
    vm_prev leads back to the area above, and what it holds where it does not.
    Linux 6.1 and later have no such list; the command says what they have.

    Example:
        (gdb) lab list 1
    """

    name = "list"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        _, mm = mm_of(pid)
        if not vma.is_listed():
            return Result([NO_LIST])
        drawing = Drawing("", [f"mm_struct {mm:#x} mmap"], [])
        name = namer(mm)
        before = 0
        wrong = ""
        try:
            for one in vma.for_each_listed(mm):
                address = one.address
                arrow = "⇅" if one.vm_prev == before else "↓"
                if not before:
                    arrow = "↓"
                line = f"  {arrow} {address:#x}  {name(address)}"
                if one.vm_prev != before:
                    line += f"   vm_prev is {one.vm_prev:#x}"
                    wrong = wrong or f"{address:#x} has vm_prev {one.vm_prev:#x}"
                drawing.lines.append(line)
                drawing.data.append(
                    {
                        "vma": address,
                        "start": one.vm_start,
                        "end": one.vm_end,
                        "next": one.vm_next,
                        "prev": one.vm_prev,
                    }
                )
                before = address
            drawing.lines.append("  ↓ NULL")
        except Broken as broken:
            drawing.broken = str(broken)
        count, said = mm_.mm_struct(mm).map_count, len(drawing.data)
        different = f"map_count is {count}, the list has {said}"
        rules = [
            ("vm_prev mirrors vm_next", wrong),
            ("map_count is the number of areas", "" if count == said else different),
        ]
        return Result([drawing, rules_table(rules)])
