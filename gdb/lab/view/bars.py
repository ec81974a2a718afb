# SPDX-License-Identifier: GPL-2.0-only
"""Bars of text: how a whole is shared out."""

from __future__ import annotations

CELLS = 40  # cells of a bar
EIGHTHS = " ▏▎▍▌▋▊▉"


def shares(parts: dict[str, int], width: int = CELLS) -> str:
    """A bar in which each part has its share of cells, and none that is there has none.

    :param parts: the cell to draw and the amount of each part, in order
    """
    there = {cell: amount for cell, amount in parts.items() if amount > 0}
    total = sum(there.values())
    if not total:
        return ""
    cells = {cell: max(amount * width // total, 1) for cell, amount in there.items()}
    # What rounding has left or taken goes to the largest part
    largest = max(cells, key=lambda cell: there[cell])
    cells[largest] += width - sum(cells.values())
    return "".join(cell * count for cell, count in cells.items())


def amount(part: int, largest: int, width: int) -> str:
    """A bar to scale, never empty if there is anything.

    :param largest: the amount whose bar is width cells long
    """
    if part <= 0 or largest <= 0:
        return ""
    eighths = max(part * width * 8 // largest, 1)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()
