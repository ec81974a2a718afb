# SPDX-License-Identifier: GPL-2.0-only
"""Whatever a command, function, breakpoint or handler raises, the person sees one sentence."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from support import labs

FORESEEN = ("gdb.error", "KeyboardInterrupt")
LEAST = 30  # commands of lab and seginfo


@pytest.mark.once
def test_what_a_command_raises(port: int, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    output = labs.debug(
        port,
        *labs.TO_A_HIT,
        "source tests/debugger/in_gdb/mistakes.py",
        LAB_RESULT=result,
    )
    assert "Python Exception" not in output and "Error occurred" not in output, output
    assert "Traceback" not in output and "\x1b" not in output, output
    found = json.loads(result.read_text())

    for group, least in (("commands", LEAST), ("functions", 3)):
        for kind, answers in found[group].items():
            assert len(answers) >= least
            for name, answer in answers.items():
                if kind == "KeyboardInterrupt":
                    assert answer == "interrupted", (name, answer)
                    continue
                assert len(answer.splitlines()) == 1, (name, answer)
                assert "Error occurred in Python" not in answer, (name, answer)
                called = f"${name}" if group == "functions" else name
                assert answer.startswith(f"{called}: "), (name, answer)
                if kind == "gdb.error":
                    assert 'No symbol "nobody" in current context.' in answer
                else:
                    assert f"a mistake of the lab's, {kind}" in answer
                    assert "Please report it; with `set lab debug on`" in answer
    assert "Traceback" in found["with a traceback"]
    assert "mistakes.py" in found["with a traceback"]

    # A handler of gdb's events, a breakpoint of the check, and one of a timeline
    assert re.search(
        r"^seginfo: this is a mistake of the lab's, KeyError", output, re.M
    )
    sentence = "the check: this is a mistake of the lab's, KeyError"
    assert [
        error for error in found["the check's errors"] if error.startswith(sentence)
    ]
    assert re.search(r"^seginfo: the check: this is a mistake", output, re.M)
    trace = " ".join(found["trace"].split())  # it was wrapped
    assert "an event: this is a mistake of the lab's, KeyError" in trace


@pytest.mark.once
def test_symbols_with_an_offset(vmlinux: Path, port: int) -> None:
    output = labs.debug(
        port,
        *labs.TO_A_HIT,
        f"symbol-file -o 0x1000000 {vmlinux}",
        "lab ps",
        "lab vmas",
        "seginfo arm",
        "print $lab_task()",
        "source gdb/seginfo.py",
        f"symbol-file {vmlinux}",
        "source gdb/seginfo.py",
        "lab vmas",
    )
    assert "Python" not in output and "Traceback" not in output, output
    assert output.count("The symbols are not at the addresses of vmlinux") == 5, output
    assert "[stack]" in output, output


@pytest.mark.once
def test_all_that_gdb_calls_goes_through_the_gate() -> None:
    """A class derived from gdb's own elsewhere would bypass it."""
    found = {
        (path.name, base)
        for path in (labs.ROOT / "gdb").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for base in map(ast.unparse, node.bases)
        if base.startswith("gdb.")
    }
    stops = {("ownstop.py", "gdb.Breakpoint"), ("index.py", "gdb.Breakpoint")}
    gates = {("unforeseen.py", "gdb.Command"), ("unforeseen.py", "gdb.Parameter")}
    assert found == stops | gates | {("functions.py", "gdb.Function")}
