# SPDX-License-Identifier: GPL-2.0-only
"""What the reports of lab list, rb and maple share."""

from __future__ import annotations

from typing import Callable, NamedTuple

from ..linux import maps, task
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..result import Check, Table, Words
from ..target.cstruct import Ptr
from ..target.memory import Fault


class RuleRow(NamedTuple):
    """A rule of a tree or list, and whether it holds."""

    rule: Words
    holds: Check


def namer(mm: Ptr[MmStruct]) -> Callable[[Ptr[VmAreaStruct]], str]:
    """A function that describes an area of mm: struct vm_area_struct * to text."""
    describe = maps.describer(mm, task.onlooker_root())

    def name(address: Ptr[VmAreaStruct]) -> str:
        try:
            area = describe(address)
        except Fault as fault:
            return f"? {fault}"
        return f"{area.start:#x}-{area.end:#x} {area.perms} {area.name or area.backing}"

    return name


def rules_table(found: list[tuple[str, str]]) -> Table[RuleRow]:
    """Rules, each with what breaks it, "" if nothing does."""
    return Table(RuleRow, "", [RuleRow(rule, broken or True) for rule, broken in found])
