# SPDX-License-Identifier: GPL-2.0-only
"""What lab list, rb and maple share."""

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
    """A function from a struct vm_area_struct * to what is worth a word of it."""
    describe = maps.describer(mm, task.onlooker_root())

    def name(address: Ptr[VmAreaStruct]) -> str:
        try:
            one = describe(address)
        except Fault as fault:
            return f"? {fault}"
        return f"{one.start:#x}-{one.end:#x} {one.perms} {one.name or one.backing}"

    return name


def rules_table(found: list[tuple[str, str]]) -> Table[RuleRow]:
    return Table(RuleRow, "", [RuleRow(rule, broken or True) for rule, broken in found])
