# SPDX-License-Identifier: GPL-2.0-only
"""What lab list, rb and maple share."""

from __future__ import annotations

from typing import Callable

from ..linux import maps, task
from ..result import Table, columns
from ..target.memory import Fault

RULES = columns(rule="text", holds="check")


def namer(mm: int) -> Callable[[int], str]:
    """A function from a struct vm_area_struct * to what is worth a word of it."""
    describe = maps.describer(mm, task.onlooker_root())

    def name(address: int) -> str:
        try:
            one = describe(address)
        except Fault as fault:
            return f"? {fault}"
        return f"{one.start:#x}-{one.end:#x} {one.perms} {one.name or one.backing}"

    return name


def rules_table(found: list[tuple[str, str]]) -> Table:
    return Table("", RULES, [(rule, broken or True) for rule, broken in found])
