# SPDX-License-Identifier: GPL-2.0-only
"""Who called a function of the kernel: its callers' names, from the kernel stack."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence

import gdb

from ..linux import kallsyms
from ..linux.processors import this_processor
from ..linux.stack import Frame, unwind_at_entry
from ..target.debugger import Refused
from ..target.memory import Broken
from .event import Moment

MOST = 16  # frames that are looked at
MOST_NAMED = 3  # callers in a sentence


@dataclass(frozen=True)
class Caller:
    """A call on a kernel stack."""

    symbol: str  # as the kernel prints it: NAME+OFFSET/SIZE
    file: str  # in which the function is written, "" where the debug info does not say

    @property
    def name(self) -> str:
        """As in a sentence: vfs_read(), init_module() of lab_pages."""
        return short(self.symbol)


def short(symbol: str) -> str:
    """NAME() of what the kernel prints as NAME+OFFSET/SIZE [MODULE]."""
    found = re.fullmatch(r"(.+)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(.+)\])?", symbol)
    if not found:
        return symbol
    return f"{found[1]}()" + f" of {found[2]}" * bool(found[2])


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


def outside(callers: list[Caller], files: tuple[str, ...]) -> list[Caller]:
    """The callers from the first on whose function is in none of these files.

    :param files: such as "/mm/slub.c"
    """
    for number, caller in enumerate(callers):
        if not caller.file.endswith(files):
            return callers[number:]
    return []


def by(callers: Sequence[Caller], word: str = "; by ") -> str:
    """Behind a sentence: by A() < B() < C(), "" if nobody is known."""
    names = " < ".join(caller.name for caller in callers[:MOST_NAMED])
    return f"{word}{names}" if names else ""


def in_context(context: str) -> str:
    """Said of what an interrupt does while a task runs: PreemptCount.context."""
    return "" if context == "process" else f" (in {context} context)"
