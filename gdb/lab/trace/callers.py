# SPDX-License-Identifier: GPL-2.0-only
"""Who called a function of the kernel: its callers' names, from the kernel stack."""

from __future__ import annotations

import gdb

from ..linux import kallsyms
from ..linux.callers import Caller
from ..linux.processors import this_processor
from ..linux.stack import Frame, unwind_at_entry
from ..target.debugger import Refused
from ..target.memory import Broken
from .event import Moment

MOST = 16  # frames that are looked at


class Callers:
    """Finds callers, and remembers the names of return addresses of the kernel image."""

    def __init__(self) -> None:
        self._known: dict[int, Caller] = {}

    def of(self, moment: Moment) -> list[Caller]:
        """The callers of the function at whose first instruction this is, innermost first.

        As far as the stack can be read.
        """
        found: list[Caller] = []
        try:
            for frame in unwind_at_entry(moment.task.address, this_processor()):
                if frame.kind == "user" or len(found) == MOST:
                    break
                found.append(self._caller(frame))
        except (Broken, Refused):
            pass  # what is damaged `lab kstack` tells
        return found

    def _caller(self, frame: Frame) -> Caller:
        known = self._known.get(frame.ip)
        if known is None:
            symbols = kallsyms.around(frame.ip - 1)
            file = file_of(symbols[0].start) if symbols else ""
            known = Caller(frame.symbol, file)
            if symbols and not symbols[0].module:  # which may be gone at the next call
                self._known[frame.ip] = known
        return known


def file_of(start: int) -> str:
    """The path of the file in which the function at an address is written.

    Not of what is inlined at its first instruction. "" where the debug info has none.
    """
    block, function = gdb.block_for_pc(start), None
    while block is not None and not (block.is_static or block.is_global):
        function = block.function or function
        block = block.superblock
    return function.symtab.filename if function is not None else ""
