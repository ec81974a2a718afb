# SPDX-License-Identifier: GPL-2.0-only
"""The lab's reader of call frames compared with readelf, for every function of some files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from support import labs

FILES = (
    labs.USER / "demo",  # static: no .eh_frame_hdr, glibc's assembly code
    Path("/bin/busybox"),
    Path("/lib/x86_64-linux-gnu/libc.so.6"),
    Path("/lib64/ld-linux-x86-64.so.2"),
)


def readelf_rows(file: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Return address, CFA and rules of each row of each function."""
    output = labs.run("readelf", "--wide", "--debug-dump=frames-interp", file).stdout
    names: list[str] = []
    in_function = False
    for line in output.splitlines():
        words = re.sub(r"r\d+ (\(\w+\))", r"\1", line).split()  # a rule of two words
        if re.match(r"[0-9a-f]+ [0-9a-f]{16} [0-9a-f]+ (CIE|FDE)", line):
            in_function = words[3] == "FDE"
        elif words[:2] == ["LOC", "CFA"]:
            names = words[2:]
        elif in_function and re.match(r"[0-9a-f]{16} ", line):
            yield int(words[0], 16), words[1], dict(zip(names, words[2:]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_rows_are_those_of_readelf(file: Path) -> None:
    expected = list(readelf_rows(file))
    assert len(expected) > 300
    done = subprocess.run(
        [
            "/usr/bin/python3",
            labs.ROOT / "tests" / "support" / "callframe_rows.py",
            file,
        ],
        input="".join(f"{address:x}\n" for address, _, _ in expected),
        capture_output=True,
        text=True,
        check=True,
    )
    rows = done.stdout.splitlines()
    assert len(rows) == len(expected)
    for row, (address, cfa, rules) in zip(rows, expected):
        found = dict(word.split("=") for word in row.split()[1:])
        assert row.split()[0] == cfa, hex(address)
        known = {name: rule for name, rule in rules.items() if rule != "u"}
        assert {k: v for k, v in found.items() if v != "u"} == known, hex(address)
