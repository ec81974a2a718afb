# SPDX-License-Identifier: GPL-2.0-only
"""Loaded modules, as in /proc/modules, and all that is known of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, NamedTuple

from ..linux import kallsyms, module, moduleparam, vmalloc
from ..linux.structs.lib import Module
from ..result import Address, Number, Report, Size, Table, Words
from ..sizes import counted
from ..target.debugger import Refused
from ..target.memory import Broken, Fault


class ModuleRow(NamedTuple):
    """A module, as a line of /proc/modules."""

    name: Words
    size: Size
    refcount: Number | None
    used_by: Words | None
    state: Words
    base: Address | None
    taints: Words | None
    parameters: Number
    address: Address  # struct module *


class PieceRow(NamedTuple):
    """A piece of a module's memory."""

    piece: Words
    start: Address
    size: Size


class ParameterRow(NamedTuple):
    """A parameter of a module, as in /sys/module/NAME/parameters."""

    name: Words
    type: Words
    value: Words
    perm: Words | None  # None if it has no file
    address: Address


class SectionRow(NamedTuple):
    """A section of a module's file, as in /sys/module/NAME/sections."""

    section: Words
    start: Address


class SymbolRow(NamedTuple):
    """A symbol of a module, as in /proc/kallsyms."""

    symbol: Words
    address: Address


class AreaRow(NamedTuple):
    """An area of the vmalloc region that a module's code has asked for."""

    start: Address
    size: Size
    caller: Words


@dataclass
class ModulesReport(Report, schema="modules"):
    """All modules, the last one loaded first."""

    summary: str
    modules: Table[ModuleRow]


@dataclass
class ModuleReport(Report, schema="module"):
    """One module: its memory, parameters, sections and symbols, what it allocated."""

    what: str
    module: Table[ModuleRow]
    pieces: Table[PieceRow]
    parameters: Table[ParameterRow] | None
    sections: Table[SectionRow] | None
    areas: Table[AreaRow] | None
    symbols: Table[SymbolRow]


def describe(name: str) -> ModulesReport | ModuleReport:
    """List all modules, or look into the one with a name.

    :param name: "" for all
    :raises Refused: no module has this name
    :raises Broken: the list of modules is damaged before it
    """
    if name:
        return _named(name)
    table = Table(ModuleRow)
    try:
        for found in module.modules():
            table.rows.append(_row(found))
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    summary = f"{counted(len(table.rows), 'module')} loaded."
    if not table.rows and not table.broken:
        summary += " In the guest's shell: insmod /lib/modules/lab_tasks.ko"
    return ModulesReport(summary, table)


def _row(found: Module) -> ModuleRow:
    """Raises Broken, Fault."""
    pieces = module.pieces_of(found)
    users = [module.name_of(user) for user in module.users_of(found)]
    if module.is_permanent(found):
        users.append("[permanent]")
    return ModuleRow(
        name=module.name_of(found),
        size=sum(piece.size for piece in pieces),
        refcount=module.module_refcount(found),
        used_by=", ".join(users) or None,
        state=module.state_of(found),
        base=pieces[0].start if pieces else None,
        taints=module.taint_letters(found) or None,
        parameters=found.num_kp,
        address=found.address,
    )


def _named(name: str) -> ModuleReport:
    known = []
    for found in module.modules():
        known.append(module.name_of(found))
        if known[-1] == name.replace("-", "_"):
            return _report(found)
    there = f"There are {', '.join(known)}." if known else "None is loaded."
    raise Refused(f"There is no module {name}. {there}")


def _report(found: Module) -> ModuleReport:
    own = Table(ModuleRow, "")
    own.rows.append(_row(found))
    pieces = Table(PieceRow, "memory")
    for piece in module.pieces_of(found):
        pieces.rows.append(PieceRow(piece.what, piece.start, piece.size))
    symbols = Table(SymbolRow, "symbols")
    _fill(symbols, (SymbolRow(name, value) for name, value in module.symbols_of(found)))
    return ModuleReport(
        what=_what(found),
        module=own,
        pieces=pieces,
        parameters=_parameters(found),
        sections=_sections(found),
        areas=_areas(found),
        symbols=symbols,
    )


def _what(found: Module) -> str:
    exported = found.num_syms + found.num_gpl_syms
    # Another module may have got the memory of the init function since
    own = any(piece.holds(found.init) for piece in module.pieces_of(found))
    init = kallsyms.symbol_name(found.init) if own else ""
    parts = [f"{module.name_of(found)} exports {counted(exported, 'symbol')}"]
    if init:
        parts.append(f"init is {init}")
    elif found.init:
        parts.append(f"init was at {found.init:#x}, whose memory was given back")
    if found.exit:
        parts.append(f"exit is {kallsyms.symbol_name(found.exit) or hex(found.exit)}")
    return f"{'; '.join(parts)}."


def _fill(table: Table[SymbolRow], rows: Iterator[SymbolRow]) -> None:
    try:
        table.rows += sorted(rows, key=lambda row: row.address)
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)


def _parameters(found: Module) -> Table[ParameterRow] | None:
    table = Table(ParameterRow, "parameters")
    try:
        for one in moduleparam.parameters(found):
            perm = f"{one.perm:04o}" if one.perm else None
            table.rows.append(
                ParameterRow(one.name, one.type, one.value, perm, one.address)
            )
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    return table if table.rows or table.broken else None


def _sections(found: Module) -> Table[SectionRow] | None:
    table = Table(SectionRow, "sections")
    try:
        table.rows += [
            SectionRow(one.name, one.start) for one in module.sections(found.address)
        ]
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    return table if table.rows or table.broken else None


def _areas(found: Module) -> Table[AreaRow] | None:
    """What vmalloc() has given to the module's own code."""
    table = Table(AreaRow, "what it has from vmalloc()")
    pieces = module.pieces_of(found)
    try:
        for one in vmalloc.for_each_vmap_area():
            caller = one.vm.caller if one.vm else 0
            if one.vm and any(piece.holds(caller) for piece in pieces):
                name = kallsyms.sprint_short(caller)
                table.rows.append(AreaRow(one.vm.addr, one.vm.size, name))
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    return table if table.rows or table.broken else None
