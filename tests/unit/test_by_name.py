# SPDX-License-Identifier: GPL-2.0-only
"""Objects with many members are made by the members' names, not by their order."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator

LAB = Path(__file__).resolve().parents[2] / "gdb" / "lab"
MOST = 7  # members by position
# Where an order is known elsewhere: struct.unpack(), and what a class says of its members
UNPACKED = {
    *("check/payload.py Area", "target/elffile.py Header"),
    *(
        "trace/exec/binprm.py Header",
        "linux/rss.py Counter",
        "replay/session.py Moment",
    ),
}


def made() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of a class, and what a test calls it: FILE CLASS."""
    for file in sorted(LAB.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).split(".")[-1]
                if name[:1].isupper():
                    yield f"{file.relative_to(LAB)} {name}", node


def test_many_members_by_name() -> None:
    calls = list(made())
    wrong = [
        f"{name} in line {node.lineno}" for name, node in calls if len(node.args) > MOST
    ]
    assert len(calls) > 500 and not wrong, "\n".join(wrong)


def test_members_do_not_come_from_a_sequence() -> None:
    found = {
        name
        for name, node in made()
        if any(isinstance(value, ast.Starred) for value in node.args)
    }
    assert not found - UNPACKED
