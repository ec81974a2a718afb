# SPDX-License-Identifier: GPL-2.0-only
"""The callers of a function of the kernel, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence

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
