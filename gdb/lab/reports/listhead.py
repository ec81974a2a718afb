# SPDX-License-Identifier: GPL-2.0-only
"""Any list of the kernel, followed both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import lists
from ..linux.structs.lib import ListHead
from ..result import Address, Check, Number, Report, Table, Words
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.debugger import Missing, Refused
from ..target.memory import Broken, Fault


class EntryRow(NamedTuple):
    """An entry of the list."""

    number: Number
    entry: Address  # the structure that holds the list_head
    link: Address  # its list_head
    next: Address
    prev: Address


class WayRow(NamedTuple):
    """What following the list one way gave."""

    way: Words
    entries: Number
    holds: Check


@dataclass
class ListheadReport(Report, schema="listhead"):
    """The entries of a list, and whether both ways lead through the same ones."""

    entries: Table[EntryRow]
    ways: Table[WayRow]


def describe(head: int, kind: str, member: str) -> ListheadReport:
    """Follow a list from its head.

    :param kind: the structure that its entries are, such as "struct task_struct"
    :param member: the struct list_head in it
    :raises Refused: there is no such structure or member, or it is no list_head
    """
    inside = _offset(kind, member)
    forward, no_more = _forward(Ptr[ListHead](head))
    backward, no_less = _backward(Ptr[ListHead](head))
    table = Table(EntryRow, f"{kind}, linked by {member}", broken=no_more)
    read = ListHead.reader(kernel.memory())
    for number, link in enumerate(forward, start=1):
        links = read(link)
        row = EntryRow(number, link - inside, link, links.next, links.prev)
        table.rows.append(row)
    same: bool | str = no_less or forward == backward[::-1]
    if same is False:
        same = "other entries than along next"
    ways = Table(WayRow, "both ways")
    ways.rows.append(WayRow("along next", len(forward), no_more or True))
    ways.rows.append(WayRow("along prev", len(backward), same))
    return ListheadReport(table, ways)


def _offset(kind: str, member: str) -> int:
    """Where the list_head is in the structure. Raises Refused."""
    try:
        offset, found = structs.member(kind, member)
    except Missing as missing:
        raise Refused(
            f"{missing}. Give a type and a member as in "
            "`lab listhead &init_task.tasks 'struct task_struct' tasks`."
        ) from None
    if found.name != "struct list_head":
        raise Refused(f"{kind}.{member} is no struct list_head, but {found.name}.")
    return offset


def _forward(head: Ptr[ListHead]) -> tuple[list[Ptr[ListHead]], str]:
    """The entries along next, and why there are no more if the list is damaged."""
    found = []
    try:
        for link in lists.list_for_each(head):
            found.append(link)
    except Broken as broken:
        return found, str(broken)
    return found, ""


def _backward(head: Ptr[ListHead]) -> tuple[list[Ptr[ListHead]], str]:
    """The entries along prev, and why there are no more if the list is damaged."""
    read = ListHead.reader(kernel.memory())
    found: list[Ptr[ListHead]] = []
    seen: set[int] = set()
    try:
        here = read(head).prev
        while here != head:
            if here in seen:
                return found, f"a cycle: {here:#x} comes again"
            seen.add(here)
            links = read(here)
            found.append(here)
            here = links.prev
    except Fault as fault:
        return found, f"cut: {fault}"
    return found, ""
