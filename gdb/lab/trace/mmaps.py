# SPDX-License-Identifier: GPL-2.0-only
"""lab trace mmap: mmap, munmap, mprotect, brk and mremap, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .. import registers, task
from ..result import Table, columns
from . import flags
from .arguments import result_text
from .changes import Snapshot, changes, snapshot
from .engine import Timeline
from .event import Call, Moment
from .points import Point


class Mmap(Timeline):
    """Requests for memory and the areas they make."""

    name = "mmap"
    follows = "mmap, munmap, mprotect, brk, mremap: requests and the areas made"

    def points(self) -> list[Point]:
        return [
            Point(
                (f"__x64_sys_{name}",),
                f"system call {name}",
                lambda moment, name=name: self._enter(moment, name),
                self._leave,
            )
            for name in ("mmap", "munmap", "mprotect", "brk", "mremap")
        ]

    def _enter(self, moment: Moment, name: str) -> Any:
        regs = registers.pt_regs(moment.argument(0))
        return name, regs, snapshot(moment.task.mm, task.onlooker_root())

    def _leave(self, moment: Moment, call: Call) -> None:
        name, regs, before = call.note
        after = snapshot(moment.task.mm, task.onlooker_root())
        self.tracer.emit(moment, f"{name} {moment.result:#x}", changes(before, after))
