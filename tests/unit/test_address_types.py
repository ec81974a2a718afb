# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of kernel objects are typed: gdb/lab/linux takes and returns Ptr[...]."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator

from lab.target.cstruct import NULL, Ptr

LINUX = Path(__file__).resolve().parents[2] / "gdb" / "lab" / "linux"
# Names that the kernel gives to pointers
POINTERS = {
    *("mm", "vma", "vma_prev", "task", "leader", "parent", "page", "file", "files"),
    *("dentry", "mnt", "root", "mapping", "tree", "regs", "module", "sighand"),
}


def annotated(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and type of each parameter and field in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield node.lineno, node.arg, ast.unparse(node.annotation)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.lineno, node.target.id, ast.unparse(node.annotation)


def test_no_kernel_object_is_an_int() -> None:
    files = list(LINUX.rglob("*.py"))
    wrong = [
        f"{path.relative_to(LINUX)}:{line}: {name}: {kind}"
        for path in files
        for line, name, kind in annotated(path)
        if name in POINTERS and kind.split(" | ")[0] == "int"
    ]
    assert len(files) > 40 and not wrong, "\n".join(wrong)


def test_a_comment_names_no_type_that_an_int_has() -> None:
    """Addresses used to be `address: int  # struct task_struct *`."""
    files = list(LINUX.rglob("*.py"))
    wrong = [
        f"{path.relative_to(LINUX)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if ": int" in line and "# struct " in line and line.rstrip().endswith("*")
    ]
    assert len(files) > 40 and not wrong, "\n".join(wrong)


def test_a_pointer_is_a_plain_int_as_it_runs() -> None:
    assert type(Ptr[object](0xFFFF_8880_0000_1000)) is int
    assert type(NULL) is int and not NULL
