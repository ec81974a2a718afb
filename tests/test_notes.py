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


def matches(expected: str, got: str) -> bool:
    """Is this the output? White space counts as one space, "..." is anything."""
    text = " ".join(got.split())
    first, *rest = [" ".join(piece.split()) for piece in expected.split("...")]
    if not rest:
        return text == first
    if not text.startswith(first):
        return False
    place, last = len(first), rest.pop()
    for piece in rest:
        place = text.find(piece, place)
        if place < 0:
            return False
        place += len(piece)
    return text.endswith(last) and len(text) - len(last) >= place


def first_difference(expected: str, got: str) -> str:
    """The first line of an expected output up to which it does not match."""
    lines = expected.splitlines()
    for i in range(len(lines)):
        if not matches("\n".join(lines[: i + 1]) + "...", got):
            return lines[i]
    return "(something comes behind the last line)"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_sessions_come_out_as_printed(chapter: Path, kind: str, port: int) -> None:
    wanted = examples(chapter, kind)
    assert wanted, f"{chapter.name} shows no gdb session"
    said = replay(port, [command for command, _ in wanted])
    for (command, expected), got in zip(wanted, said, strict=True):
        if not matches(expected, got):
            pytest.fail(
                f"{chapter.name}: (gdb) {command}\n"
                f"does not print: {first_difference(expected, got)}\nbut:\n{got}",
                pytrace=False,
            )


def test_a_wrong_output_is_noticed() -> None:
    assert matches("a 1 ...\nb\n", "a 1 2 3\nx\n b\n")
    assert not matches("a 1 ...\nb\n", "a 1 2 3\nx\n c\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a ... b ... b", "a x b")
    assert first_difference("a\nb\nc\n", "a\nx\nc\n") == "b"
