# SPDX-License-Identifier: GPL-2.0-only
"""Phrases that several timelines use."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """A number of things: 1 area, 23 areas."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
