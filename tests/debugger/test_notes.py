# SPDX-License-Identifier: GPL-2.0-only
"""The chapters in notes/ and the README show real sessions: replay them.

A fenced block marked ```gdb is a session. Lines that start with "(gdb) " are typed into
the gdb of `make debug`, the lines after each must be its output, and "..." stands for
whatever varies. All blocks of a chapter are one session. Words after the mark limit a
block: ```gdb vm_next runs on kernels with that list, ```gdb maple on those with the
maple tree. All blocks marked ```gdb replay of a chapter are a session of their own, in a
`make replay` of the demo. A chapter about another program says so with an indented line:
make debug PROGRAM=...
"""
from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Iterator

import pytest

from support import labs, recordings

# schemas.md is no chapter: see test_schemas.py. unit/test_pages.py checks that no page is forgotten.
NOTES = sorted((labs.ROOT / "notes").glob("[0-9]*.md"))
REFERENCE = sorted((labs.ROOT / "notes" / "reference").glob("*.md"))
PAGES = [*REFERENCE, labs.ROOT / "README.md"]
CHAPTERS = NOTES + PAGES
FENCE = re.compile(r"^```gdb((?: \w+)*)\n(.*?)^```$", re.M | re.S)
PROGRAM = re.compile(r"^    make debug PROGRAM=(\S+)$", re.M)
DEBUG, REPLAY = "debug", "replay"
MARK = "@@ next @@"


@pytest.fixture(scope="module")
def kind(vmlinux: Path) -> str:
    """The kind of blocks that this kernel can run, besides the unmarked ones."""
    found = labs.gdb("whatis ((struct mm_struct *)0)->mmap", program=vmlinux)
    return "vm_next" if found.returncode == 0 else "maple"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recording of the demo."""
    folder = tmp_path_factory.mktemp("notes") / "recording"
    yield recordings.whole(folder, labs.free_port())
    shutil.rmtree(folder)


def blocks(chapter: Path, where: str) -> list[tuple[set[str], str]]:
    """Return the blocks of a chapter for one kind of session, with what limits each."""
    found = []
    for marks, block in FENCE.findall(chapter.read_text(encoding="utf-8")):
        words = set(marks.split())
        if (REPLAY in words) == (where == REPLAY):
            found.append((words - {REPLAY}, block))
    return found


def settings(chapter: Path) -> dict[str, Path]:
    """Return the settings of `make debug` for a chapter."""
    found = PROGRAM.search(chapter.read_text(encoding="utf-8"))
    return (
        {"PROGRAM": labs.ROOT / found[1]}
        if found and chapter in NOTES + REFERENCE
        else {}
    )


def session(chapter: Path, where: str) -> Any:
    """Return a test's arguments; it runs once if nothing in it depends on the kernel."""
    depends = any(words for words, _ in blocks(chapter, where))
    marks = () if depends else pytest.mark.once
    return pytest.param(chapter, where, id=f"{chapter.stem}-{where}", marks=marks)


SESSIONS = [
    session(chapter, where)
    for chapter in CHAPTERS
    for where in (DEBUG, REPLAY)
    if blocks(chapter, where)
]


def examples(chapter: Path, where: str, kind: str) -> list[tuple[str, str]]:
    """Return the commands that this kernel can run, with their expected output."""
    found = []
    for words, block in blocks(chapter, where):
        if words <= {kind}:
            for part in re.split(r"^\(gdb\) ", block, flags=re.M)[1:]:
                command, _, expected = part.partition("\n")
                found.append((command, expected))
    return found


def typed(commands: list[str]) -> list[str]:
    """Return the commands with a mark before each, and one after the last."""
    marked = [line for command in commands for line in (f"echo {MARK}\\n", command)]
    return [*marked, f"echo {MARK}\\n"]


def answers(session_output: str) -> list[str]:
    """Split the output of a session into that of each command."""
    return [part.replace("(gdb) ", "") for part in session_output.split(MARK)[1:-1]]


def matches(expected: str, got: str) -> bool:
    """Does the output match? White space counts as one space, "..." as anything."""
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
    """Return the first line of an expected output that does not match."""
    lines = expected.splitlines()
    for i in range(len(lines)):
        if not matches("\n".join(lines[: i + 1]) + "...", got):
            return lines[i]
    return "(something comes behind the last line)"


@pytest.mark.once
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_shows_a_session(chapter: Path) -> None:
    assert blocks(chapter, DEBUG) or blocks(chapter, REPLAY)


@pytest.mark.parametrize(("chapter", "where"), SESSIONS)
def test_sessions_come_out_as_printed(
    chapter: Path, where: str, kind: str, port: int, request: pytest.FixtureRequest
) -> None:
    wanted = examples(chapter, where, kind)
    assert wanted, f"{chapter.name} shows no {where} session for this kernel"
    commands = typed([command for command, _ in wanted])
    if where == REPLAY:
        recording = request.getfixturevalue("recording")
        outputs = answers(recordings.output(recording, port, *commands))
    else:
        outputs = answers(labs.debug(port, *commands, **settings(chapter)))
    for (command, expected), got in zip(wanted, outputs, strict=True):
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
