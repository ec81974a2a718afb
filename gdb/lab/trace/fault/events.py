# SPDX-License-Identifier: GPL-2.0-only
"""The events of lab trace fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...linux.mm_changes import AreaData
from ...result import Address, Number, Words
from ..event import Event


class LookData(NamedTuple):
    """The page-table entry of an address and its page frame at one moment."""

    level: Words | None  # of the last entry: pte, pmd, ...; null for a broken table
    entry: Number | None
    pfn: Number | None  # null if no page is present
    use: Words  # none, zero, anonymous, file or kernel
    holders: Number  # entries that map the page
    references: Number
    page_cache: bool  # is the page of the file in the page cache?
    min_flt: Number  # of the thread
    maj_flt: Number


@dataclass(frozen=True, kw_only=True)
class FaultEvent(Event):
    """A page fault."""

    address: Address
    access: Words  # read, write or execute
    mode: Words  # user or kernel
    refused: bool  # the page is present but forbids this access
    ip: Address
    inside: Words  # FUNCTION+OFFSET of the instruction
    syscall: Words  # for which the kernel does it, "" for an instruction of the program
    area: AreaData | None
    kind: Words  # what resolved it
    pages: list[Address]  # addresses of the pages that it mapped or made writable
    counted: Number  # how often the kernel counted it: 0 or 1
    before: LookData
    after: LookData


@dataclass(frozen=True, kw_only=True)
class FaultDone(FaultEvent, timeline="fault"):
    """A page fault that was handled without a signal."""

    major: bool
    by: Number  # tid of a thread that was faster, 0 for none


@dataclass(frozen=True, kw_only=True)
class FaultSignal(FaultEvent, timeline="fault"):
    """A page fault that raises a signal: its kind is signal."""

    signal: Words
    code: Words  # si_code
    handler: Address  # 0 for none
