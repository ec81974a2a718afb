# SPDX-License-Identifier: GPL-2.0-only
"""Takes the output of `lab COMMAND --json` apart. Also used inside gdb."""

from __future__ import annotations

import json
from typing import Any

HEADING = ("schema", "version", "seginfo")


def parts(text: str) -> list[Any]:
    """Return the tables, drawings and sentences of a report, in their order.

    The first three members, which identify the report, are checked and left out.
    """
    report = json.loads(text)
    assert tuple(report)[:3] == HEADING and report["schema"].startswith("seginfo-")
    assert type(report["version"]) is int and report["seginfo"]
    found: list[Any] = []
    for name, value in report.items():
        if name not in HEADING and value is not None:
            found += value if isinstance(value, list) else [value]
    return found
