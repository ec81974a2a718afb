# SPDX-License-Identifier: GPL-2.0-only
"""An address space as a picture of 80 columns, high addresses at the top.

On one scale for all 128 TiB nothing would be visible, so each group of segments has a
scale of its own: the head of the group says how much one block stands for.
"""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap

from ..linux.segments import Segment
from ..sizes import rough_size
from .bars import EIGHTHS

WIDTH = 80
BAR = 20  # blocks of the longest bar
MOST = 24  # segments of a group; of a larger one only the ends are shown
PAGE = 4096


def lines(half: list[Segment], digits: int) -> list[str]:
    """One half of the address space, drawn.

    :param digits: hexadecimal digits of an address
    """
    drawn: list[str] = []
    for group, run in groupby(reversed(half), lambda segment: segment.group):
        segments = list(run)
        if not group:
            for gap in segments:
                drawn += _between(gap, digits)
            continue
        block = _block(segments)
        head = f"── {group} "
        tail = f" █ = {rough_size(block)} ──"
        drawn.append(head + "─" * (WIDTH - len(head) - len(tail)) + tail)
        for shown in _shown(segments):
            if isinstance(shown, str):
                drawn.append(shown)
            else:
                drawn += _segment(shown, digits, block)
    return drawn


def _block(segments: list[Segment]) -> int:
    """How many bytes a block stands for, so that the longest bar fits."""
    sizes = (segment.size for segment in segments if not segment.is_gap)
    longest = max(sizes, default=PAGE)
    block = PAGE
    while block * BAR < longest:
        block *= 2
    return block


def _shown(segments: list[Segment]) -> list[Segment | str]:
    """All segments; of a large group those at both ends and those with a mark."""
    if len(segments) <= MOST:
        return list(segments)
    half = MOST // 2
    found: list[Segment | str] = [*segments[:half]]
    for is_marked, run in groupby(segments[half:-half], lambda it: bool(it.marks)):
        inner = list(run)
        if is_marked:
            found += inner
        else:
            found.append(_left_out(inner))
    return [*found, *segments[-half:]]


def _left_out(segments: list[Segment]) -> str:
    areas = [segment for segment in segments if not segment.is_gap]
    size = rough_size(sum(area.size for area in areas))
    return f"   ⋮ {len(areas):,} areas of {size} together, and the gaps between them"


def _bar(size: int, block: int) -> str:
    """A bar to scale, but never empty."""
    eighths = max(size * 8 // block, 1)
    if eighths > BAR * 8:
        return "█" * (BAR - 1) + "»"
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).strip()


def _segment(segment: Segment, digits: int, block: int) -> list[str]:
    """An area, region or gap, and below it the boundaries in it."""
    size = rough_size(segment.size)
    if segment.is_gap:
        eighths = segment.size * 8 // block
        dots = "·" * max(min(eighths // 8, BAR), 1)
        bar = dots if eighths <= BAR * 8 else "·" * 8 + " ≈ " + "·" * 8
        line = f"{'':{digits}} {size:>8}      {bar}"
    else:
        bar = _bar(segment.size, block)
        head = f"{segment.start:0{digits}x} {size:>8} {segment.perms:<4} "
        room = WIDTH - len(head) - BAR - 1
        name = segment.name
        if len(name) > room:
            name = "…" + name[1 - room :]
        line = f"{head}{bar:<{BAR}} {name}"
    return [line.rstrip(), *_marked(segment.marks, digits)]


def _between(gap: Segment, digits: int) -> list[str]:
    """A gap between two groups, not to scale."""
    line = f"{'':{digits}} {rough_size(gap.size):>8}      · · ·  not to scale  · · ·"
    return [line, *_marked(gap.marks, digits)]


def _marked(marks: tuple[tuple[str, int], ...], digits: int) -> list[str]:
    """The boundaries in a segment; a name and its address are never separated."""
    indent = " " * (digits + 15)
    names = [f"{name}\N{NO-BREAK SPACE}{address:x}" for name, address in marks[::-1]]
    return [
        f"{indent}{' ' if i else '◂'} {line}".replace("\N{NO-BREAK SPACE}", " ")
        for i, line in enumerate(wrap(", ".join(names), WIDTH - len(indent) - 2))
    ]
