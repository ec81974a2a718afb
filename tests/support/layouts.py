# SPDX-License-Identifier: GPL-2.0-only
"""Write a file with a kernel's layout, taken from its vmlinux: `make layouts`.

    layouts.py NAME VMLINUX FILE

The types, members and symbols to take are found in the sources of gdb/lab.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any, Iterator

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "gdb"))

from lab.target import drgn_symbols, layout  # noqa: E402 (found only now)

TYPE = re.compile(r"(struct|union|enum) \w+|\w+_t")
NAME = re.compile(r"\w+")
PATH = re.compile(r"\w+(\.\w+)*")
OF_SYMBOLS = ("address_of", "has_symbol", "variable_size", "expect", "per_cpu_place")


def wanted() -> layout.Wanted:
    """Find what the package asks for in any kernel."""
    found = layout.Wanted()
    files = sorted((ROOT / "gdb" / "lab").rglob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    names = {node.name: _name_of(node) for node in classes if _name_of(node)}
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            _of_class(node, found)
        elif isinstance(node, ast.Call):
            _of_call(node, found, names)
        elif isinstance(node, ast.FunctionDef):
            _of_function(node, found)
    return found


def _name_of(node: ast.ClassDef) -> str:
    """Return a class's name in C, "" for other classes than Structs.

    For example "struct mm_struct" of class MmStruct(Struct, name="struct mm_struct").
    """
    for keyword in node.keywords:
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return ""


def _of_class(node: ast.ClassDef, found: layout.Wanted) -> None:
    """Note the members that a class declares."""
    name = _name_of(node)
    if name:
        paths = found.members.setdefault(name, set())
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                paths.add(_at(line.value) or line.target.id)


def _at(value: ast.expr | None) -> str:
    """Return the path in a call like at("mm_users.counter"), "" for other expressions."""
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "at":
        return "".join(
            part.value if isinstance(part, ast.Constant) else "0"
            for part in getattr(value.args[0], "values", value.args)
        )
    return ""


def _of_call(node: ast.Call, found: layout.Wanted, names: dict[str, str]) -> None:
    """Note the names in a call like structs.offsetof("struct page", "lru").

    In list_for_each_entry(head, TaskStruct, "tasks"), the class stands for its struct.
    """
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    words = list(_strings(node.args))
    if name == "list_for_each_entry":
        words[:0] = filter(None, (names.get(getattr(a, "id", "")) for a in node.args))
    if name in OF_SYMBOLS:
        found.symbols.update(filter(NAME.fullmatch, words))
    if name == "constant":
        found.constants.update(words)
    for number, word in enumerate(words):
        if TYPE.fullmatch(word):
            paths = found.members.setdefault(word, set())
            paths.update(words[number + 1 : number + 2])


def _of_function(node: ast.FunctionDef, found: layout.Wanted) -> None:
    """Note the types that a function names, with its other strings as possible members."""
    words = [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    paths = {word for word in words if PATH.fullmatch(word)}
    for word in words:
        if TYPE.fullmatch(word) and " " in word:
            found.members.setdefault(word, set()).update(paths)


def _strings(arguments: list[ast.expr]) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, ast.Starred):
            yield from _strings(getattr(argument.value, "elts", []))
        elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def facts_of(layout: Any, places: bool) -> set[str]:
    """Return all that a layout says, one fact each; `places`: with offsets and sizes."""
    facts = {f"symbol {name}" for name in layout["symbols"]}
    facts |= {
        f"constant {name} {value if places else ''}"
        for name, value in layout["constants"].items()
    }
    for name, kind in layout["types"].items():
        if kind["kind"] == "array" and not places:
            continue
        inside = kind.get("fields", kind.get("enumerators", {}))
        facts |= {f"{name}: {word} {inside[word] if places else ''}" for word in inside}
        rest = {word: value for word, value in kind.items() if value is not inside}
        facts.add(f"{name}: {rest if places else kind['kind']}")
    return facts


def release(vmlinux: str) -> str:
    """Return a kernel's release, as in uname -r, from its banner."""
    found = re.search(rb"Linux version (\S+) \(", Path(vmlinux).read_bytes())
    assert found, vmlinux
    return found[1].decode()


def main() -> None:
    """See above."""
    name, vmlinux, file = sys.argv[1:]
    symbols = drgn_symbols.DrgnSymbols(vmlinux)
    made = layout.collect(name, release(vmlinux), symbols, wanted())
    Path(file).write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
