# SPDX-License-Identifier: GPL-2.0-only
"""The settings of gdb that the lab's own expressions need: the person may have others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

import gdb

# In this order: the language comes first, because the other values are read in it. A radix
# is written in hex, which means the same in every radix.
NEEDED: dict[str, str] = {
    "language": "c",
    "input-radix": "0xa",
    "output-radix": "0xa",
    "disassembly-flavor": "att",
    "print address": "on",
    "print symbol-filename": "off",
    "print max-symbolic-offset": "unlimited",
    "opaque-type-resolution": "on",
}

_depth = 0


@contextmanager
def needed() -> Iterator[None]:
    """In the block expressions and listings are C's, with decimal numbers.

    Afterwards the person's own settings are back.
    """
    global _depth
    changed: list[tuple[str, str]] = []
    _depth += 1
    try:
        if _depth == 1:
            for name, value in NEEDED.items():
                before = _written(gdb.parameter(name))
                if before != value:
                    _set(name, value)
                    changed.append((name, before))
        yield
    finally:
        _depth -= 1
        for name, before in reversed(changed):
            _set(name, before)


def _written(value: str | int | bool | None) -> str:
    """A setting as `set` takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return "unlimited"
    return hex(value) if isinstance(value, int) else value


def _set(name: str, value: str) -> None:
    gdb.execute(f"set {name} {value}", to_string=True)
