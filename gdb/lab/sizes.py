# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of bytes as text."""

from __future__ import annotations

UNITS = tuple(
    (10 * i, unit)
    for i, unit in enumerate(("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"), 1)
)[::-1]


def size_text(size: int) -> str:
    """A number of bytes in the largest unit that keeps it whole: 132 KiB."""
    for shift, unit in UNITS:
        if size >= 1 << shift and not size & (1 << shift) - 1:
            return f"{size >> shift} {unit}"
    return f"{size} B"


def rough_size(size: int) -> str:
    """A number of bytes to four digits at most: 132 KiB, 1.25 GiB, 127 TiB."""
    for shift, unit in UNITS:
        if size >= 1 << shift:
            amount = size / (1 << shift)
            digits = 2 if amount < 10 else 1 if amount < 100 else 0
            text = f"{amount:.{digits}f}"
            return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"
    return f"{size} B"


def counted(count: int, one: str, many: str = "") -> str:
    """A number of things: 1 area, 23 areas."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
