# SPDX-License-Identifier: GPL-2.0-only
"""What kmalloc() gives for what is asked, and what is wasted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple

from ..linux import kmalloc, startup
from ..result import Drawing, Number, Report, Table, Words
from ..sizes import counted, size_text
from ..target.debugger import Refused

COLUMNS, ROWS = 64, 8  # of the curve


class ClassRow(NamedTuple):
    """Requests that get the same."""

    least: Number
    most: Number
    cache: Words
    given: Number
    most_wasted: Number  # by the smallest request
    share: Words  # of what is given


@dataclass
class KmallocReport(Report, schema="kmalloc"):
    """What one request gets."""

    sentence: str
    classes: Table[ClassRow]


@dataclass
class KmallocCurveReport(Report, schema="kmalloc-curve"):
    """What requests of all sizes get, and the curve of what is wasted."""

    limits: str
    curve: Drawing[list[dict[str, Any]]]
    classes: Table[ClassRow]


def describe(size: int | None) -> KmallocReport | KmallocCurveReport:
    """What a request gets; None for requests of all sizes.

    :raises Refused: the kernel has another allocator, or never gives so much
    :raises Broken: the caches cannot be read
    """
    startup.need_slab()
    return _curve() if size is None else _one(size)


def _one(size: int) -> KmallocReport:
    found = kmalloc.given(size)
    if found is None:
        raise Refused(
            f"kmalloc({size}) always fails: the largest request is {kmalloc.max_size():,} "
            f"bytes, {size_text(kmalloc.max_size())}."
        )
    table = Table(ClassRow, "")
    table.rows += [row for row in _classes() if row.least <= size <= row.most]
    return KmallocReport(_sentence(size, found), table)


def _sentence(size: int, found: kmalloc.Given) -> str:
    if not size:
        return "kmalloc(0) gives ZERO_SIZE_PTR: no memory, and no NULL."
    wasted = found.given - size
    who = found.cache
    if found.order is not None:
        who = f"the page allocator, with a block of order {found.order},"
    return (
        f"kmalloc({size}) is served by {who} and gives {counted(found.given, 'byte')}: "
        f"{wasted:,} of them, {_share(wasted, found.given)}, are wasted."
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _classes() -> Iterator[ClassRow]:
    """All that requests can get, the smallest first."""
    least, known = 1, kmalloc.caches()
    while least <= kmalloc.max_size():
        found = kmalloc.given(least, known)
        assert found is not None
        cache, step = found.cache, 8
        if found.order is not None:
            most, cache = found.given, f"pages of order {found.order}"
        else:
            most = least + step - 1
            while most < kmalloc.max_cache_size():
                after = kmalloc.given(most + 1, known)
                if after != found:
                    break
                most += step
        wasted = found.given - least
        yield ClassRow(
            least, most, cache, found.given, wasted, _share(wasted, found.given)
        )
        least = most + 1


def _curve() -> KmallocCurveReport:
    table = Table(ClassRow, "what requests get")
    table.rows += _classes()
    small, most = kmalloc.max_cache_size(), kmalloc.max_size()
    limits = (
        f"Requests of up to {small:,} bytes are served by slab caches, larger ones by the "
        f"page allocator; the largest is {most:,} bytes, {size_text(most)}."
    )
    points = list(_points(table.rows, small))
    drawing = Drawing("what is wasted", list(_drawn(points)), points)
    return KmallocCurveReport(limits, drawing, table)


def _points(rows: list[ClassRow], largest: int) -> Iterator[dict[str, Any]]:
    """For sizes from 1 to the largest, evenly on a scale of octaves: what is wasted."""
    octaves = largest.bit_length() - 1
    for column in range(COLUMNS):
        size = max(round(2 ** (octaves * (column + 0.5) / COLUMNS)), 1)
        row = next(row for row in rows if row.least <= size <= row.most)
        yield {"size": size, "given": row.given, "wasted": row.given - size}


def _drawn(points: list[dict[str, Any]]) -> Iterator[str]:
    yield "The share of the memory given that is wasted, by the bytes asked for. Each column"
    yield "is the next size on a scale of powers of two."
    eighths = " ▁▂▃▄▅▆▇█"
    for row in range(ROWS, 0, -1):
        line = ""
        for point in points:
            height = 8 * ROWS * point["wasted"] // point["given"]
            line += eighths[min(max(height - 8 * (row - 1), 0), 8)]
        mark = f"{100 * row // ROWS} %"
        yield f"{mark:>6} {line}".rstrip()
    marks, last = list(" " * COLUMNS), -9
    for column, point in enumerate(points):
        text = str(point["size"])
        if column >= last + 9 and column + len(text) <= COLUMNS:
            marks[column : column + len(text)] = text
            last = column
    yield " " * 7 + "".join(marks).rstrip() + " bytes"
