# SPDX-License-Identifier: GPL-2.0-only
"""The events of lab trace module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...result import Address, Number, Size, Words
from ..event import Event


@dataclass(frozen=True, kw_only=True)
class ModuleEvent(Event):
    """A step in the life of a module."""

    module: Words  # its name; "" while it is not known


@dataclass(frozen=True, kw_only=True)
class LoadCalled(ModuleEvent, timeline="module", step="load"):
    """load_module() has got a file."""

    call: Words
    size: Size
    sections: Number  # in the file
    modinfo: dict[str, str]  # what it says of itself: the first of each tag


class PlacedSection(NamedTuple):
    """A section, from where in the file to where in memory."""

    name: Words
    offset: Number
    start: Address
    size: Size
    memory: Words  # core_layout or init_layout; since Linux 6.4 text, data, rodata, ...


class MemoryPiece(NamedTuple):
    """Memory that a module got."""

    name: Words
    start: Address
    size: Size


@dataclass(frozen=True, kw_only=True)
class SectionsPlaced(ModuleEvent, timeline="module", step="placed"):
    """The module has memory, and its sections are copied there."""

    address: Address  # struct module *
    memory: list[MemoryPiece]
    sections: list[PlacedSection]
    per_cpu: Size


@dataclass(frozen=True, kw_only=True)
class SymbolsFound(ModuleEvent, timeline="module", step="symbols"):
    """What the module needs from elsewhere was looked up."""

    found: dict[str, int]  # addresses by name
    missing: list[Words]
    uses: list[Words]  # modules that have some of them


class RelocatedSection(NamedTuple):
    """A section whose relocations were applied."""

    section: Words
    relocations: Number
    wrong: Number  # places that do not have what the relocation says


@dataclass(frozen=True, kw_only=True)
class Relocated(ModuleEvent, timeline="module", step="relocated"):
    """Addresses are written into the sections: apply_relocate_add()."""

    sections: list[RelocatedSection]
    by_kind: dict[str, int]  # how many R_X86_64_...
    result: Number  # of the last apply_relocate_add()


@dataclass(frozen=True, kw_only=True)
class Notified(ModuleEvent, timeline="module", step="notifiers"):
    """Whoever wants to be told of modules has been: module_notify_list."""

    state: Words  # COMING, LIVE, GOING
    notifiers: list[Words]  # functions
    result: Number  # NOTIFY_...: include/linux/notifier.h


@dataclass(frozen=True, kw_only=True)
class ParametersSet(ModuleEvent, timeline="module", step="parameters"):
    """parse_args() has set the parameters."""

    arguments: Words
    parameters: dict[str, str]  # values by name, as sysfs shows them
    unknown: list[Words]  # that the module does not have
    result: Number


@dataclass(frozen=True, kw_only=True)
class InitCalled(ModuleEvent, timeline="module", step="init"):
    """The module's own init function begins."""

    init: Address
    symbol: Words


@dataclass(frozen=True, kw_only=True)
class InitReturned(ModuleEvent, timeline="module", step="init returns"):
    """The module's own init function has ended."""

    result: Number


@dataclass(frozen=True, kw_only=True)
class Loaded(ModuleEvent, timeline="module", step="loaded"):
    """load_module() returns 0."""

    state: Words
    references: Number | None  # null where no module can be unloaded
    size: Size


@dataclass(frozen=True, kw_only=True)
class LoadFails(ModuleEvent, timeline="module", step="fails"):
    """load_module() returns an error."""

    result: Number
    where: Words  # the kernel's function that failed
    messages: list[Words]  # what this task has printed meanwhile


@dataclass(frozen=True, kw_only=True)
class UnloadCalled(ModuleEvent, timeline="module", step="unload"):
    """delete_module() looks for a module."""

    state: Words  # "" if there is none of that name
    references: Number | None
    users: list[Words]  # modules


@dataclass(frozen=True, kw_only=True)
class ExitCalled(ModuleEvent, timeline="module", step="exit"):
    """The module's own exit function begins."""

    exit: Address
    symbol: Words


@dataclass(frozen=True, kw_only=True)
class MemoryGivenBack(ModuleEvent, timeline="module", step="freed"):
    """module_memfree() of memory that a module had."""

    memory: MemoryPiece


@dataclass(frozen=True, kw_only=True)
class Unloaded(ModuleEvent, timeline="module", step="unloaded"):
    """delete_module() returns."""

    result: Number
