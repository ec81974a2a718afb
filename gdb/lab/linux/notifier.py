# SPDX-License-Identifier: GPL-2.0-only
"""Who is told when something happens: include/linux/notifier.h."""

from __future__ import annotations

from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Broken
from . import kallsyms
from .structs.lib import NotifierBlock

MOST_BLOCKS = 1024  # ends a chain that is damaged


def functions_of(chain: int) -> Iterator[str]:
    """The functions that a chain calls, in their order.

    :param chain: struct blocking_notifier_head *
    :raises Broken, Fault: the chain is damaged, or cannot be read
    """
    guest, seen = kernel.memory(), set[int]()
    place = guest.u64(chain + structs.offsetof("struct blocking_notifier_head", "head"))
    while place:
        if place in seen or len(seen) == MOST_BLOCKS:
            raise Broken(f"the notifiers at {chain:#x} are a cycle: {place:#x} again")
        seen.add(place)
        block = NotifierBlock(guest, Ptr[NotifierBlock](place))
        call = block.notifier_call
        yield kallsyms.symbol_name(call) or f"{call:#x}"
        place = block.next
