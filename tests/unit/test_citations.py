# SPDX-License-Identifier: GPL-2.0-only
"""What comments and docstrings in gdb/ refer to exists."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "gdb").rglob("*.py"))
# X.py stands for any name; vmlinux-gdb.py belongs to the kernel
NOT_OURS = {"X.py", "vmlinux-gdb.py"}


def prose(file: Path) -> Iterator[str]:
    """Yield the comments and docstrings of a file."""
    text = file.read_text()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield ast.get_docstring(node) or ""


def test_files_that_comments_name_exist() -> None:
    ours = {f"/{file.relative_to(ROOT)}" for file in FILES}
    ours |= {f"/{file.relative_to(ROOT)}" for file in (ROOT / "tests").rglob("*.py")}
    named = [
        (file, name)
        for file in FILES
        for text in prose(file)
        for name in re.findall(r"[\w./-]*\w\.py\b", text)
        if name not in NOT_OURS
    ]
    wrong = [
        f"{file.relative_to(ROOT)} names {name}"
        for file, name in named
        if not any(path.endswith(f"/{name}") for path in ours)
    ]
    assert len(named) > 15 and not wrong, "\n".join(wrong)


def test_names_in_other_files_that_comments_name_exist() -> None:
    """For example relatives.EXEC, memory.Fault, printable.text_of()."""
    texts: dict[str, str] = {}
    for file in FILES:
        texts[file.stem] = texts.get(file.stem, "") + file.read_text()
    named = [
        (file, *found)
        for file in FILES
        for text in prose(file)
        for found in re.findall(r"\b([a-z]\w*)\.([A-Z]\w+|\w+(?=\(\)))", text)
        if found[0] in texts or found[1].isupper()
    ]
    wrong = [
        f"{file.relative_to(ROOT)} names {module}.{name}"
        for file, module, name in named
        if not re.search(rf"^(class |def )?{name}\b", texts.get(module, ""), re.M)
    ]
    assert len(named) > 50 and not wrong, "\n".join(wrong)
