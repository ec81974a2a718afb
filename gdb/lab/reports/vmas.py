# SPDX-License-Identifier: GPL-2.0-only
"""All areas of a process."""

from __future__ import annotations

from dataclasses import dataclass

from ..linux import maps, task
from ..linux.maps import Area
from ..linux.structs.mm_types import MmStruct
from ..result import Report, Table
from ..target.cstruct import Ptr
from ..target.memory import Broken


@dataclass
class VmasReport(Report, schema="vmas"):
    """The areas of an address space, and after them the gate area."""

    areas: Table[Area]


def describe(mm: Ptr[MmStruct]) -> VmasReport:
    """Walk the areas of an address space, in order of address."""
    table = Table(Area)
    try:
        table.rows.extend(maps.for_each_area(mm, task.onlooker_root()))
    except Broken as broken:
        table.broken = str(broken)
    return VmasReport(table)
