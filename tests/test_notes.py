# SPDX-License-Identifier: GPL-2.0-only
"""The chapters in notes/ and the README show real sessions: replay them.

A fenced block marked ```gdb is a session. Lines that start with "(gdb) " are
typed into the gdb of `make debug`, what follows each must come out, and "..."
stands for whatever varies. All blocks of a chapter are one session. A word
behind the mark limits a block: ```gdb vm_next runs on kernels with that list,
```gdb maple on those with the maple tree.
"""

from __future__ import annotations

import re
from pathlib import Path

import lab
import pytest

CHAPTERS = sorted((lab.ROOT / "notes").glob("*.md")) + [lab.ROOT / "README.md"]
FENCE = re.compile(r"^```gdb(?: (\w+))?\n(.*?)^```$", re.M | re.S)
MARK = "@@ next @@"


@pytest.fixture(scope="module")
def kind(vmlinux: Path) -> str:
    """The kind of blocks that this kernel can run besides the unmarked ones."""
    found = lab.gdb("whatis ((struct mm_struct *)0)->mmap", program=vmlinux)
    return "vm_next" if found.returncode == 0 else "maple"


def examples(chapter: Path, kind: str) -> list[tuple[str, str]]:
    """The commands of a chapter that this kernel can run, with their output."""
    found = []
    for marked, block in FENCE.findall(chapter.read_text(encoding="utf-8")):
        if marked in ("", kind):
            for part in re.split(r"^\(gdb\) ", block, flags=re.M)[1:]:
                command, _, expected = part.partition("\n")
                found.append((command, expected))
    return found


def replay(port: int, commands: list[str]) -> list[str]:
    """Type commands into one lab; what each of them says."""
    typed = [line for command in commands for line in (f"echo {MARK}\\n", command)]
    said = lab.debug(port, *typed, f"echo {MARK}\\n")
    return [part.replace("(gdb) ", "") for part in said.split(MARK)[1:-1]]


def pattern(expected: str) -> re.Pattern[str]:
    """What matches an expected output: any white space, and anything for "..."."""
    pieces = [
        r"\s+".join(re.escape(word) for word in piece.split())
        for piece in expected.split("...")
    ]
    return re.compile(r"\s*" + r"\s*.*?\s*".join(pieces) + r"\s*", re.S)


def first_difference(expected: str, got: str) -> str:
    """The first line of an expected output up to which it does not match."""
    lines = expected.splitlines()
    for i in range(len(lines)):
        if not pattern("\n".join(lines[: i + 1])).match(got):
            return lines[i]
    return "(something comes behind the last line)"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_sessions_come_out_as_printed(chapter: Path, kind: str, port: int) -> None:
    wanted = examples(chapter, kind)
    assert wanted, f"{chapter.name} shows no gdb session"
    said = replay(port, [command for command, _ in wanted])
    for (command, expected), got in zip(wanted, said, strict=True):
        if not pattern(expected).fullmatch(got):
            pytest.fail(
                f"{chapter.name}: (gdb) {command}\n"
                f"does not print: {first_difference(expected, got)}\nbut:\n{got}",
                pytrace=False,
            )


def test_a_wrong_output_is_noticed() -> None:
    assert pattern("a 1 ...\nb\n").fullmatch("a 1 2 3\nx\n b\n")
    assert not pattern("a 1 ...\nb\n").fullmatch("a 1 2 3\nx\n c\n")
    assert not pattern("a\n").fullmatch("a\nb\n")
    assert first_difference("a\nb\nc\n", "a\nx\nc\n") == "b"
