# SPDX-License-Identifier: GPL-2.0-only
"""How the lab tells of a mistake of its own, in gdb and out of it. Plain Python."""

from __future__ import annotations

import os
import traceback

from .printable import one_line

LONGEST = 200  # characters of a mistake's own words


def mistake(what: str, problem: BaseException, debugs: bool, switch: str) -> str:
    """One sentence that asks for a report; with debugs, and where it happened.

    Parameters: what went wrong and how, whether the person wants to see where, and what
    to do to see that.
    """
    words = one_line(str(problem))[:LONGEST]
    kind = type(problem).__name__ + (f" ({words})" if words else "")
    said = f"{what}: this is a mistake of the lab's, {kind}. Please report it"
    if not debugs:
        return f"{said}; with {switch} it also shows where."
    return f"{said} with this:\n{''.join(traceback.format_exception(problem))}"


def wanted() -> bool:
    """Does the environment ask to see where mistakes happen?"""
    return os.environ.get("LAB_DEBUG", "") not in ("", "0")
