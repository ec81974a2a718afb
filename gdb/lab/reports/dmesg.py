# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import kallsyms, printk
from ..result import Address, Report, Table, Words
from ..sizes import counted
from ..target.debugger import Refused
from ..target.memory import Broken, Fault

NANOSECONDS = 1_000_000_000


class MessageRow(NamedTuple):
    """A message."""

    time: Words  # seconds, as dmesg shows it
    level: Words
    caller: Words
    text: Words


class PointerRow(NamedTuple):
    """A pointer that %p has printed as a hash."""

    hashed: Address
    pointer: Address
    symbol: Words | None


@dataclass
class DmesgReport(Report, schema="dmesg"):
    """How many messages there are; the messages; hashed pointers turned back."""

    count: str
    messages: Table[MessageRow]
    pointers: Table[PointerRow] | None


def describe(level: str) -> DmesgReport:
    """The messages of the log.

    :param level: only those of this level or a worse one; "" for all
    :raises Refused: there is no such level, or no log
    """
    if level and level not in printk.LEVELS:
        raise Refused(
            f"{level} is no level of messages: give one of {', '.join(printk.LEVELS)}."
        )
    table = Table(MessageRow, "")
    seen, hashes = 0, set()
    try:
        for message in printk.messages():
            seen += 1
            if level and printk.LEVELS.index(message.level) > printk.LEVELS.index(
                level
            ):
                continue
            table.rows.append(_row(message))
            hashes |= {int(found, 16) for found in printk.HASHED.findall(message.text)}
    except Broken as broken:
        table.broken = str(broken)
    count = counted(seen, "message")
    if level:
        count = f"{len(table.rows):,} of {count}, of level {level} or worse"
    return DmesgReport(f"{count}.", table, _pointers(hashes))


def _row(message: printk.Message) -> MessageRow:
    seconds, rest = divmod(message.nanoseconds, NANOSECONDS)
    time = f"{seconds:5}.{rest // 1000:06}"
    return MessageRow(time, message.level, message.caller, message.text)


def _pointers(hashes: set[int]) -> Table[PointerRow] | None:
    """The pointers behind what %p has printed."""
    if not hashes:
        return None
    table = Table(PointerRow, "pointers that %p has hashed")
    try:
        for hashed, pointer in sorted(printk.pointers_of(hashes).items()):
            name = kallsyms.symbol_name(pointer) or None
            table.rows.append(PointerRow(hashed, pointer, name))
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    return table if table.rows or table.broken else None
