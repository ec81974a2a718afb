# SPDX-License-Identifier: GPL-2.0-only
"""How the lab reports a mistake of its own, or what the system refused. Plain Python."""

from __future__ import annotations

import os
import traceback

from .printable import one_line

LONGEST = 200  # characters of a mistake's own words


def mistake(what: str, problem: BaseException, debugs: bool, switch: str) -> str:
    """A sentence that asks to report a mistake.

    :param what: the command, or whatever else failed
    :param problem: how it failed
    :param debugs: is the traceback to be shown as well?
    :param switch: what turns that on
    """
    words = one_line(str(problem))[:LONGEST]
    kind = type(problem).__name__ + (f" ({words})" if words else "")
    sentence = f"{what}: this is a mistake of the lab's, {kind}. Please report it"
    if not debugs:
        return f"{sentence}; with {switch} it also shows where."
    return f"{sentence} with this:\n{''.join(traceback.format_exception(problem))}"


def wanted() -> bool:
    """Does the environment ask to see where mistakes happen?"""
    return os.environ.get("LAB_DEBUG", "") not in ("", "0")


def refused(problem: OSError) -> str:
    """What the system refused, in words without a number."""
    why = problem.strerror or str(problem)
    return f"{problem.filename}: {why}" if problem.filename else why
