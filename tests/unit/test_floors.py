# SPDX-License-Identifier: GPL-2.0-only
"""The rooms of gdb/lab and their floors, see ARCHITECTURE.md: checked in the source."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "gdb" / "lab"

# From the ground up. A room imports from itself and from the floors below it.
FLOORS = (
    ("arrays", "printable", "sizes", "version"),
    ("mistakes", "schema"),
    ("result",),
    ("target",),
    ("linux",),
    ("programs", "explain"),
    ("replay",),
    ("check", "trace", "dump", "window"),
    ("view",),
    ("reports",),
    ("commands",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, Path]:
    """Find the modules of the package by dotted name; "" is the package itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name.removesuffix("__init__").rstrip(".")] = path
    return found


MODULES = modules()


def imports(name: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and module of each import from the package, also inside functions."""
    parts = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                assert alias.name.split(".")[0] != "lab", f"{path}:{node.lineno}"
        elif isinstance(node, ast.ImportFrom) and node.level:
            above = parts[: len(parts) - node.level + 1]
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".strip(".")
                yield node.lineno, inner if inner in MODULES else base


IMPORTS = {name: list(imports(name, path)) for name, path in MODULES.items()}


def room(name: str) -> str:
    return name.split(".")[0]


def test_every_room_has_a_floor() -> None:
    assert {room(name) for name in MODULES if name} == set(FLOOR)


def test_the_floors_of_the_architecture_are_these() -> None:
    """The table in ARCHITECTURE.md counts them from 1."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| `(\w+)(?:/|\.py)` \|", text, re.M)
    assert {room: int(floor) - 1 for floor, room in rows} == FLOOR


def test_imports_only_go_down() -> None:
    wrong = [
        f"{MODULES[name].relative_to(ROOT)}:{line}: {room(name)} imports {other}"
        for name, found in IMPORTS.items()
        for line, other in found
        if room(other) != room(name)
        and FLOOR[room(other)] >= FLOOR.get(room(name), len(FLOORS))
    ]
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    below = {name: {other for _, other in found} for name, found in IMPORTS.items()}
    for name in MODULES:
        seen, waiting = set(), [name]
        while waiting:
            for other in below[waiting.pop()] - seen:
                assert other != name, f"{name} imports itself by way of {sorted(seen)}"
                seen.add(other)
                waiting.append(other)


def test_a_command_is_found_by_its_name() -> None:
    """The class of `lab X` is in commands/X.py."""
    for path in (PACKAGE / "commands").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ClassDef) or path.stem in ("base", "functions"):
                continue
            if "LabCommand" not in (ast.unparse(base) for base in node.bases):
                continue
            names = [
                line.value.value
                for line in node.body
                if isinstance(line, ast.Assign)
                and ast.unparse(line.targets[0]) == "name"
            ]
            assert names == [path.stem], f"{path}:{node.lineno}"


def test_no_name_means_two_things() -> None:
    """A second definition in a module would silently replace the first."""
    for path in MODULES.values():
        names = [
            name for node in ast.parse(path.read_text()).body for name in defined(node)
        ]
        assert sorted(set(names)) == sorted(names), path


def defined(node: ast.stmt) -> list[str]:
    """Return the names that a module's statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []
