# SPDX-License-Identifier: GPL-2.0-only
"""Members have names where objects are made; structures and constants are declared once."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Iterator

LAB = Path(__file__).resolve().parents[2] / "gdb" / "lab"
MOST = 7  # members by position
REPEATED = 6  # members of the same names are no chance
# Where the order is defined elsewhere: struct.unpack(), and a class that describes its members
UNPACKED = {
    *("check/payload.py Area", "target/elffile.py Header"),
    *("trace/exec/binprm.py Header", "replay/session.py Moment"),
}
# Calls that make a value from others, so that it is not a plain number or string
DERIVED = (ast.Name, ast.Call, ast.Attribute, ast.JoinedStr, ast.comprehension)
DERIVED += (ast.Dict, ast.Set, ast.List, ast.Tuple, ast.Lambda, ast.Subscript)


def made() -> Iterator[tuple[str, ast.Call]]:
    """Yield each call of a class, and how a test names it: FILE CLASS."""
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


def test_no_class_has_all_members_of_a_structure() -> None:
    """A class with all members of one that is read from the kernel is that one again."""
    structures: dict[str, frozenset[str]] = {}
    others: dict[str, frozenset[str]] = {}
    for file in sorted(LAB.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            is_structure = any(ast.unparse(base) == "Struct" for base in node.bases)
            members = frozenset(
                ast.unparse(line.target)
                for line in node.body
                if isinstance(line, ast.AnnAssign)
            )
            place = f"{file.relative_to(LAB)} {node.name}"
            (structures if is_structure else others)[place] = members
    assert len(structures) > 50 and len(others) > 150
    repeated = [
        f"{other} is {place} again"
        for place, members in structures.items()
        for other, own in others.items()
        if len(members) >= REPEATED and members <= own
    ]
    assert not repeated, "\n".join(repeated)


def constants(file: Path) -> Iterator[tuple[str, object]]:
    """Yield name and value of each number and string defined at the top of a file."""
    for node in ast.parse(file.read_text()).body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts))
            for name, value in pairs:
                is_plain = not any(
                    isinstance(part, DERIVED) for part in ast.walk(value)
                )
                if isinstance(name, ast.Name) and is_plain:
                    yield name.id, eval(ast.unparse(value), {"__builtins__": {}})


def test_a_constant_is_declared_once() -> None:
    """Each, such as SIGCHLD, has one name and one value, in one file."""
    values: dict[tuple[str, object], list[str]] = {}
    for file in sorted(LAB.rglob("*.py")):
        for name, value in constants(file):
            values.setdefault((name, value), []).append(str(file.relative_to(LAB)))
    twice = {name: files for (name, _), files in values.items() if len(files) > 1}
    assert len(values) > 200
    assert set(twice) <= {"MASK"}, twice  # 64 bits, not a constant of the kernel's


def test_no_class_repeats_a_structure() -> None:
    """What linux/structs declares is not declared again elsewhere, as a tuple of its members."""
    declared, repeated = set(), {}
    for file in sorted(LAB.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            names = {k.arg: k.value for k in node.keywords}
            if "name" in names:
                declared.add(ast.literal_eval(names["name"]))
                continue
            is_told = re.match(r"struct \w+", ast.get_docstring(node) or "")
            if is_told:
                repeated[is_told[0]] = f"{file.relative_to(LAB)} {node.name}"
    assert "struct maple_tree" in declared and "struct elf64_phdr" in repeated
    wrong = [where for name, where in repeated.items() if name in declared]
    assert not wrong, "\n".join(wrong)
