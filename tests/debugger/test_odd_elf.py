# SPDX-License-Identifier: GPL-2.0-only
"""Odd ELF files, and files of the guest that have the names of the host's.

The guest may put anything into its files that its kernel does not check, and may name
them /dev/zero. That harms no command of the lab, and no command opens a file of this
machine that is not the guest's, or that is not a regular file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from support import labs
from support.reports import parts

PER_TASK = ("task", "mm", "vmas", "list", "rb", "maple", "map", "kstack", "regs")
PER_TASK += ("ustack", "files", "elf")
COMMANDS = ["ps", "threads", "tree"]
COMMANDS += [f"{name} {{pid}}{form}" for name in PER_TASK for form in ("", " --json")]
COMMANDS += ["vma 0x401000 {pid}", "read 0x400000 64 {pid}", "walk 0x401000 {pid}"]
USTACK, ELF = "ustack {pid}", "elf {pid}"
PLACES = ("/mnt/host_share/pipe", "/mnt/host_share/link", "/mnt/host_share/same")
PLACES += ("/mnt/host_share/other", "/dev/zero", "/bin/oddelf-nowhere")
LIMIT = 20  # seconds for a command; it takes a fraction of one
GROWTH = 200  # MiB by which gdb may grow when it has read what it may

Answers = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def answers(
    kernel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Answers]:
    """What every command says about oddelf's processes, from one boot."""
    folder = tmp_path_factory.mktemp("oddelf")
    whole, program = labs.compile_c("oddelf.c", folder), folder / "guest" / "oddelf"
    program.parent.mkdir()
    labs.run("strip", "-o", program, whole)
    build = folder / "build"
    build.mkdir()
    for entry in labs.BUILD.iterdir():
        if entry.name not in ("run", "share"):
            (build / entry.name).symlink_to(entry)
    share = build / "share"
    share.mkdir()
    os.mkfifo(share / "pipe")
    (share / "link").symlink_to(whole)
    shutil.copy(whole, share / "same")
    other = bytearray(whole.read_bytes())  # the same file but for its build id
    at = other.index(build_id(whole))
    other[at : at + 4] = b"othr"
    (share / "other").write_bytes(other)
    port = labs.free_port()
    given = {"names": ["header-", "file-", "path-"], "commands": COMMANDS}
    try:
        yield labs.inside(
            "everything.py",
            port,
            folder,
            given,
            PROGRAM=program,
            ARGS=",".join(PLACES),
            BUILD=build,
        )
    finally:
        assert labs.leaks(port) == []


def build_id(program: Path) -> bytes:
    notes = labs.run("readelf", "--notes", program).stdout
    return bytes.fromhex(notes.split("Build ID: ")[1].split()[0])


@pytest.mark.once
def test_every_command_answers_in_a_sentence(answers: Answers) -> None:
    names = [f"header-{number}" for number in range(9)]
    names += [f"file-{number}" for number in range(9)]
    names += [f"path-{number}" for number in range(1, 1 + len(PLACES))]
    assert sorted(answers) == sorted(names)
    for name, by_command in answers.items():
        assert list(by_command) == COMMANDS
        for command, answer in by_command.items():
            text = answer["output"] + answer["error"]
            assert "Traceback" not in text and "Python" not in text, (name, command)
            assert "mistake of the lab's" not in text, (name, command, text)
            assert len(answer["error"].strip().splitlines()) <= 1, (name, command)
            assert answer["seconds"] < LIMIT, (name, command)
            assert answer["grown"] < GROWTH, (name, command)
            if command.endswith("--json") and not answer["error"]:
                parts(answer["output"])


@pytest.mark.once
def test_odd_headers_in_memory_are_told(answers: Answers) -> None:
    def text(number: int) -> str:
        answer = answers[f"header-{number}"][ELF]
        return answer["output"] + answer["error"]

    assert "65535 program headers, more than Linux takes" in text(0)
    assert "program headers" in text(1)
    assert "no 64-bit ELF file" in text(4) and "no ELF file" in text(5)
    assert "0x1b5b324a" in text(8)


@pytest.mark.once
def test_odd_sections_are_told(answers: Answers) -> None:
    def text(number: int) -> str:
        return answers[f"file-{number}"][ELF]["output"]

    assert "cannot be told: its section headers end behind the file's end" in text(0)
    assert "stripped" in text(1)
    assert "cannot be told: its sections' names end behind the file's end" in text(4)
    for number in (2, 3, 6):
        assert ".text" in text(number), number


@pytest.mark.once
def test_the_files_of_the_host_that_are_read(answers: Answers) -> None:
    """A pipe, a link out of the share, another build and a device are not read."""

    def own_copy(number: int) -> bool:
        output = answers[f"path-{number}"][USTACK]["output"]
        assert "pause" in output or "guest's own copy" in output, output
        return f"guest's own copy: {PLACES[number - 1]}." in output

    by_path = {place: own_copy(number) for number, place in enumerate(PLACES, 1)}
    assert by_path == {place: place != "/mnt/host_share/same" for place in PLACES}
    # Of the guest's own file, the host's copy with symbols
    assert "sleeps+" in answers["path-3"][USTACK]["output"]
    assert "sleeps+" not in answers["path-2"][USTACK]["output"]
    assert "sleeps+" not in answers["path-4"][USTACK]["output"]


@pytest.mark.once
def test_mutants(tmp_path: Path) -> None:
    """Some hundred damaged copies of a program, always the same ones."""
    whole = labs.compile_c("oddelf.c", tmp_path)
    done = subprocess.run(
        [
            "/usr/bin/python3",
            labs.ROOT / "tests" / "support" / "elf_mutants.py",
            whole,
            "300",
        ],
        capture_output=True,
        text=True,
        timeout=labs.LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout, file=sys.stderr)
    found = json.loads(done.stdout)
    assert found["mutants"] == 300 and found["refused"] > 10
    assert found["with symbols"] > 100 and found["with call frames"] > 100


@pytest.mark.once
def test_what_a_file_may_cost() -> None:
    """Overlapping names, and more symbols, names or notes than a real program has."""
    done = subprocess.run(
        ["/usr/bin/python3", labs.ROOT / "tests" / "support" / "elf_bounds.py"],
        capture_output=True,
        text=True,
        timeout=labs.LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["name"] == 4096 and found["times"] < 8, found
    assert found["too many"] == 0, found
    read, why = found["names"]
    assert read < 1 << 20 and why == f"its sections' names have {1 << 31} bytes"
    read, size = found["notes"]
    assert read < 2 * size, found


@pytest.mark.once
def test_which_files_of_the_host_are_opened(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            "/usr/bin/python3",
            labs.ROOT / "tests" / "support" / "host_names.py",
            tmp_path,
        ],
        capture_output=True,
        text=True,
        env=labs.environment(BUILD=tmp_path / "build"),
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
