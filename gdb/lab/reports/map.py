# SPDX-License-Identifier: GPL-2.0-only
"""An address space as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..linux import segments, task
from ..linux.structs.mm_types import MmStruct
from ..linux.structs.sched import TaskStruct
from ..result import Drawing, Report
from ..target import kernel
from ..target.cstruct import Ptr
from ..view import picture

Segments = list[dict[str, Any]]


@dataclass
class MapReport(Report, schema="map"):
    """Both halves, low addresses first: each segment with the boundaries in it."""

    kernel_half: Drawing[Segments]
    between: str
    user_half: Drawing[Segments]


def describe(owner: Ptr[TaskStruct], mm: Ptr[MmStruct]) -> MapReport:
    """Draw an address space and the kernel's half.

    :param owner: a task that has this address space
    """
    read = task.task(owner)
    bits = 12 + 9 * kernel.memory().levels
    upper = segments.kernel_half()
    lower, broken = segments.user_half(mm, task.onlooker_root())
    kernel_part = Drawing("kernel half", picture.lines(upper, 16), _data(upper))
    user_part = Drawing(
        f"user half of {read.pid} ({read.comm})",
        picture.lines(lower, (bits + 2) // 4),
        _data(lower),
        broken,
    )
    between = (
        f"Between the halves lie the addresses that are not canonical, "
        f"{1 << bits - 1:#x} to {(1 << 64) - (1 << bits - 1) - 1:#x}."
    )
    return MapReport(kernel_part, between, user_part)


def _data(half: list[segments.Segment]) -> Segments:
    return [
        {
            "start": segment.start,
            "end": segment.end,
            "group": segment.group,
            "name": segment.name,
            "perms": segment.perms,
            "marks": dict(segment.marks),
        }
        for segment in half
    ]
