# SPDX-License-Identifier: GPL-2.0-only
"""The one way out: all that the lab says to the person goes through here.

Nothing else may call gdb.write(): tests/debugger/test_hostile.py sees to that.
"""

from __future__ import annotations

import re

import gdb

from ..printable import printable

ESCAPE = "\033"
STYLE = re.compile(r"\[[0-9;]*m")  # after an ESCAPE: colours, bold, and the reset


def write(text: str, stream: int = gdb.STDOUT) -> None:
    """Write text that has no colours."""
    gdb.write(printable(text), stream)


def write_styled(text: str) -> None:
    """Write text in which a view has put colours; nothing else passes."""
    first, *pieces = text.split(ESCAPE)
    passed = [printable(first)]
    for piece in pieces:
        style = STYLE.match(piece)
        end = style.end() if style else 0
        escape = ESCAPE if style else printable(ESCAPE)
        passed += escape, piece[:end], printable(piece[end:])
    gdb.write("".join(passed))


def write_progress(text: str) -> None:
    """Write over the line that the cursor is in; "" leaves it empty."""
    gdb.write(f"\r{printable(text)}" if text else f"\r{ESCAPE}[K")
