# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's doubly linked lists: struct list_head (include/linux/list.h)."""

from __future__ import annotations

from typing import Iterator, TypeVar

from ..target import kernel, structs
from ..target.cstruct import Ptr, Struct
from ..target.memory import Broken, Fault
from .structs.lib import ListHead

S = TypeVar("S", bound=Struct)


def list_for_each(head: Ptr[ListHead]) -> Iterator[Ptr[ListHead]]:
    """The struct list_head * of each entry, the head itself left out.

    Raises Broken for a cycle that misses the head, for a pointer that cannot be
    read, and for an entry whose prev is not where the walk came from.
    """
    read = ListHead.reader(kernel.memory())
    seen = {head}
    try:
        before, here = head, read(head).next
    except Fault as fault:
        raise Broken(f"the list at {head:#x} has no head: {fault}") from None
    while here != head:
        if here in seen:
            raise Broken(f"the list at {head:#x} is a cycle: {here:#x} comes again")
        seen.add(here)
        try:
            links = read(here)
        except Fault as fault:
            raise Broken(f"the list at {head:#x} is cut: {fault}") from None
        if links.prev != before:
            raise Broken(
                f"the list at {head:#x} is torn: {here:#x} has prev {links.prev:#x}, "
                f"not {before:#x}"
            )
        yield here
        before, here = here, links.next


def list_for_each_entry(
    head: Ptr[ListHead], entry: type[S], member: str
) -> Iterator[Ptr[S]]:
    """The structures that a list links by one of their members.

        list_for_each_entry(head, TaskStruct, "tasks")

    :param head: struct list_head *
    :raises Broken: as list_for_each()
    """
    inside = structs.offsetof(entry.c_name, member)
    for link in list_for_each(head):
        yield Ptr[S](link - inside)
