# SPDX-License-Identifier: GPL-2.0-only
"""lab map: an address space as a picture."""

from __future__ import annotations

from ..linux import segments, task
from ..result import Drawing, Result
from ..target import kernel
from ..view import picture
from .base import LabCommand, mm_of


class Map(LabCommand):
    """The address space as a picture: lab map [PID] [--json]

    High addresses are above: the kernel's half, then the addresses that no
    processor takes, then the user's half. Bars are to scale within a group of
    segments (stack, mapped, heap, program, ...), whose head says what a block
    stands for; dots are gaps, of which those between groups are not to scale. A
    triangle marks the boundaries the mm_struct keeps. Fits 80 columns.

    Example:
        (gdb) lab map 1
    """

    name = "map"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        owner, mm = mm_of(pid)
        one = task.task(owner)
        bits = 12 + 9 * kernel.memory().levels
        upper = segments.kernel_half()
        lower, broken = segments.user_half(mm, task.onlooker_root())
        kernel_part = Drawing("kernel half", picture.lines(upper, 16), _data(upper))
        user_part = Drawing(
            f"user half of {one.pid} ({one.comm})",
            picture.lines(lower, (bits + 2) // 4),
            _data(lower),
            broken,
        )
        between = (
            f"Between the halves lie the addresses that are not canonical, "
            f"{1 << bits - 1:#x} to {(1 << 64) - (1 << bits - 1) - 1:#x}."
        )
        return Result([kernel_part, between, user_part])


def _data(half: list[segments.Segment]) -> list[dict[str, object]]:
    return [
        {
            "start": one.start,
            "end": one.end,
            "group": one.group,
            "name": one.name,
            "perms": one.perms,
            "marks": dict(one.marks),
        }
        for one in half
    ]
