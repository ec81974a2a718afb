# SPDX-License-Identifier: GPL-2.0-only
"""lab trace module: how modules come and go, from insmod to rmmod."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...result import Number, Size, Table, Words
from ..engine import Timeline, Tracer
from ..event import Point
from .loading import Loading
from .starting import Starting
from .state import Ledger
from .unloading import Unloading


class ModuleRow(NamedTuple):
    """What became of a module."""

    module: Words
    loads: Number
    failed: Number
    unloads: Number
    relocations: Number
    memory: Size  # that it got
    given_back: Size


class Modules(Timeline):
    """How modules are loaded and unloaded."""

    name = "module"
    follows = "modules: sections, symbols, relocations, parameters, init, exit"

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self.ledger = Ledger()
        loading = Loading(tracer, self.ledger)
        self._parts: tuple[Loading | Starting | Unloading, ...] = (
            loading,
            Starting(tracer, self.ledger),
            Unloading(tracer, self.ledger, loading),
        )

    def points(self) -> list[Point]:
        return [point for part in self._parts for point in part.points()]

    def summary(self) -> list[Any]:
        rows = [
            ModuleRow(
                module=name,
                loads=counts["loads"],
                failed=counts["failed"],
                unloads=counts["unloads"],
                relocations=counts["relocations"],
                memory=counts["memory"],
                given_back=counts["given back"],
            )
            for name, counts in self.ledger.counts.items()
        ]
        return [Table(ModuleRow, "Modules", rows)] if rows else []
