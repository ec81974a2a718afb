# SPDX-License-Identifier: GPL-2.0-only
"""Names of the kernel and of modules, both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import kallsyms, module
from ..result import Address, Number, Report, Table, Words
from ..target.debugger import Refused


class SymbolRow(NamedTuple):
    """A symbol."""

    name: Words
    module: Words | None
    start: Address
    end: Address | None  # where the next symbol starts
    offset: Number | None  # of the address asked for, from start
    source: Words | None  # line of the address asked for, or of the start


@dataclass
class SymbolReport(Report, schema="symbol"):
    """The symbols with a name, or around an address."""

    symbols: Table[SymbolRow]


def describe(what: str | int) -> SymbolReport:
    """The symbols with a name, or around an address. Raises Refused if there are none."""
    return _of_name(what) if isinstance(what, str) else _of_address(what)


def address_of_all(name: str) -> set[int]:
    """Where symbols with a name start. Raises Broken, memory.Fault."""
    return {found.start for found in [*kallsyms.named(name), *module.named(name)]}


def _of_name(name: str) -> SymbolReport:
    table = Table(SymbolRow)
    for found in [*kallsyms.named(name), *module.named(name)]:
        table.rows.append(_row(found, None))
    if not table.rows:
        raise Refused(
            f"Neither the kernel nor a module has a symbol {name}; an address is written "
            "0xffffffff81000000 or *NAME."
        )
    return SymbolReport(table)


def _of_address(address: int) -> SymbolReport:
    found = kallsyms.around(address)
    if not found:
        raise Refused(
            f"{address:#x} is in no symbol of the kernel or of a module; see `lab kernel` "
            "for what there is."
        )
    table = Table(SymbolRow)
    for symbol in found:
        table.rows.append(_row(symbol, address))
    return SymbolReport(table)


def _row(symbol: module.Symbol, address: int | None) -> SymbolRow:
    where = symbol.start if address is None else address
    return SymbolRow(
        name=symbol.name,
        module=symbol.module or None,
        start=symbol.start,
        end=symbol.end or None,
        offset=None if address is None else address - symbol.start,
        source=str(kallsyms.source_of(where)) or None,
    )
