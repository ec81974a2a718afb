# SPDX-License-Identifier: GPL-2.0-only
"""lab list: the list of areas, drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..linux import mm as mm_, vma
from ..linux.structs.mm_types import MmStruct
from ..result import Drawing, Report, Table
from ..target.cstruct import Ptr
from ..target.memory import Broken
from .trees import RuleRow, namer, rules_table

NO_LIST = (
    "This kernel chains its areas no more: the list (vm_next, vm_prev) ended with "
    "Linux 6.1 (763ecb035029), when the maple tree mm->mm_mt came, whose leaves stand "
    "in order and can be read without a lock: see `lab maple`."
)


@dataclass
class ListReport(Report, schema="list"):
    """The list of areas, or a sentence on why there is none, and its rules."""

    none: str | None = None
    areas: Drawing[list[dict[str, Any]]] | None = None
    rules: Table[RuleRow] | None = None


def describe(mm: Ptr[MmStruct]) -> ListReport:
    """Follow mm->mmap along vm_next."""
    if not vma.is_listed():
        return ListReport(none=NO_LIST)
    data: list[dict[str, Any]] = []
    drawing = Drawing("", [f"mm_struct {mm:#x} mmap"], data)
    name = namer(mm)
    before = 0
    wrong = ""
    try:
        for area in vma.for_each_listed(mm):
            address = area.address
            arrow = "⇅" if area.vm_prev == before else "↓"
            if not before:
                arrow = "↓"
            line = f"  {arrow} {address:#x}  {name(address)}"
            if area.vm_prev != before:
                line += f"   vm_prev is {area.vm_prev:#x}"
                wrong = wrong or f"{address:#x} has vm_prev {area.vm_prev:#x}"
            drawing.lines.append(line)
            drawing.data.append(
                {
                    "vma": address,
                    "start": area.vm_start,
                    "end": area.vm_end,
                    "next": area.vm_next,
                    "prev": area.vm_prev,
                }
            )
            before = address
        drawing.lines.append("  ↓ NULL")
    except Broken as broken:
        drawing.broken = str(broken)
    count, listed = mm_.mm_struct(mm).map_count, len(drawing.data)
    different = f"map_count is {count}, the list has {listed}"
    rules = [
        ("vm_prev mirrors vm_next", wrong),
        ("map_count is the number of areas", "" if count == listed else different),
    ]
    return ListReport(areas=drawing, rules=rules_table(rules))
