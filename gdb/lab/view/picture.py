# SPDX-License-Identifier: GPL-2.0-only
"""An address space as a picture of 80 columns, high addresses above.

Nothing could be seen if all of 128 TiB had one scale, so each group of segments
has its own: the head of the group says what one block stands for.
"""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap

from ..linux.segments import Segment
from ..sizes import rough_size

WIDTH = 80
BAR = 20  # blocks of the longest bar
EIGHTHS = " ▏▎▍▌▋▊▉"
MOST = 24  # segments of a group that are shown; of more, the ends
PAGE = 4096


def lines(half: list[Segment], digits: int) -> list[str]:
    """A picture of one half. digits is how many an address is shown with."""
    drawn = []
    for group, run in groupby(reversed(half), lambda one: one.group):
        segments = list(run)
        if not group:
            for gap in segments:
                drawn += _between(gap, digits)
            continue
        block = _block(segments)
        head = f"── {group} "
        tail = f" █ = {rough_size(block)} ──"
        drawn.append(head + "─" * (WIDTH - len(head) - len(tail)) + tail)
        for one in _shown(segments):
            drawn += [one] if isinstance(one, str) else _segment(one, digits, block)
    return drawn


def _block(segments: list[Segment]) -> int:
    """How many bytes a block stands for, so that the longest bar fits."""
    longest = max((one.size for one in segments if not one.is_gap), default=PAGE)
    block = PAGE
    while block * BAR < longest:
        block *= 2
    return block


def _shown(segments: list[Segment]) -> list[Segment | str]:
    """All segments, or of very many those at both ends and those with a mark."""
    if len(segments) <= MOST:
        return list(segments)
    half = MOST // 2
    found: list[Segment | str] = [*segments[:half]]
    for is_marked, run in groupby(segments[half:-half], lambda one: bool(one.marks)):
        some = list(run)
        found += some if is_marked else [_left_out(some)]
    return [*found, *segments[-half:]]


def _left_out(segments: list[Segment]) -> str:
    areas = [one for one in segments if not one.is_gap]
    size = rough_size(sum(one.size for one in areas))
    return f"   ⋮ {len(areas):,} areas of {size} together, and the gaps between them"


def _bar(size: int, block: int) -> str:
    """A bar to scale; what is there at all is seen."""
    eighths = max(size * 8 // block, 1)
    if eighths > BAR * 8:
        return "█" * (BAR - 1) + "»"
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).strip()


def _segment(one: Segment, digits: int, block: int) -> list[str]:
    """An area or region, and the boundaries in it."""
    if one.is_gap:
        eighths = one.size * 8 // block
        dots = "·" * max(min(eighths // 8, BAR), 1)
        bar = dots if eighths <= BAR * 8 else "·" * 8 + " ≈ " + "·" * 8
        line = f"{'':{digits}} {rough_size(one.size):>8}      {bar}"
    else:
        bar = _bar(one.size, block)
        head = f"{one.start:0{digits}x} {rough_size(one.size):>8} {one.perms:<4} "
        room = WIDTH - len(head) - BAR - 1
        name = one.name if len(one.name) <= room else "…" + one.name[1 - room :]
        line = f"{head}{bar:<{BAR}} {name}"
    return [line.rstrip(), *_marked(one.marks, digits)]


def _between(one: Segment, digits: int) -> list[str]:
    """A gap between two groups: to no scale."""
    line = f"{'':{digits}} {rough_size(one.size):>8}      · · ·  not to scale  · · ·"
    return [line, *_marked(one.marks, digits)]


def _marked(marks: tuple[tuple[str, int], ...], digits: int) -> list[str]:
    """The boundaries in a segment; a name and its address stay on one line."""
    indent = " " * (digits + 15)
    said = ", ".join(f"{name}\N{NO-BREAK SPACE}{at:x}" for name, at in reversed(marks))
    return [
        f"{indent}{' ' if i else '◂'} {line}".replace("\N{NO-BREAK SPACE}", " ")
        for i, line in enumerate(wrap(said, WIDTH - len(indent) - 2))
    ]
