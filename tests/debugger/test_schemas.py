# SPDX-License-Identifier: GPL-2.0-only
"""notes/schemas.md describes all that the lab writes as JSON, as it is now."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from support import labs

pytestmark = pytest.mark.once
PAGE = labs.ROOT / "notes" / "schemas.md"
COMMANDS = labs.ROOT / "gdb" / "lab" / "commands"
FUNCTIONS = {
    "lab_task",
    "lab_mm",
    "lab_vma",
    "lab_symbol",
}  # functions for gdb's expressions
SILENT = {"goto", "window"}  # they report nothing


def test_the_page_is_current(tmp_path: Path) -> None:
    file = tmp_path / "schemas.md"
    ended = labs.run(
        *("gdb", "-nx", "-q", "-batch", "-x", "gdb/schemas.py"), LAB_RESULT=file
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert file.read_text() == PAGE.read_text(), "type make schemas"


def test_every_command_has_a_schema() -> None:
    found = set(
        re.findall(r"^### seginfo-([\w-]+), version \d+$", PAGE.read_text(), re.M)
    )
    for file in COMMANDS.glob("*.py"):
        names = re.findall(r'^    name = "(\w+)"$', file.read_text(), re.M)
        for name in {*names} - SILENT - {*FUNCTIONS}:
            assert name in found, f"{file.name} has no report"
    assert {"hits", "recording", "moments", "layout", "trace"} <= found


def test_nothing_is_written_without_a_schema() -> None:
    """json.dumps() is called where the heading is added, and nowhere else."""
    calls = set()
    for file in (labs.ROOT / "gdb").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("dump", "dumps"):
                if getattr(node.value, "id", "") == "json":
                    calls.add(file.name)
    assert calls == {"json.py", "moments.py", "recording.py"}
