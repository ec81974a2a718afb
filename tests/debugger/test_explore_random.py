# SPDX-License-Identifier: GPL-2.0-only
"""lab random: compared with what processes say about themselves, and with one another.

tests/guest/programs/execs.c executes tests/guest/programs/placed.c some hundred times. Where
that was put at random, the addresses must fill the range that the lab tells, and no more;
where nothing was random, they must be those that the lab computes from a random process.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest

from support import labs
from support.witnessed import LIBRARIES, LINKED

PAGE = 4096
TOP = (1 << 47) - PAGE  # where the user's half ends
EXECS = 200
KINDS = ("static", "static-pie", "dynamic-pie")
SAID = re.compile(r"^placed /t/(\S+): pid=(\d+) (.*)$", re.M)
# The row of lab random, and what placed.c calls that
NAMES = {"stack pointer": "pointer", "mmap_base": "top"}
# Which share of its range a sample must span. The span of N values that are uniform in a
# range is less than the share f with a probability below N * f^(N - 1), for 201 values and
# 0.85 that is 2e-12; and there are six ranges.
SHARE = 0.85


@dataclass
class Placed:
    """A process of placed.c, as it says itself."""

    pid: int
    kind: str
    mode: str
    at: dict[str, int]


@dataclass
class Execs:
    """All of them, and what the lab says about those that stayed."""

    placed: list[Placed]
    reports: dict[int, dict[str, Any]]
    options: dict[str, str]

    def of(self, kind: str, mode: str) -> list[Placed]:
        return [one for one in self.placed if (one.kind, one.mode) == (kind, mode)]

    def rows(self, kind: str, mode: str) -> dict[str, dict[str, Any]]:
        """What the lab says about the one that stayed, by row."""
        (stayed,) = [one.pid for one in self.of(kind, mode) if one.pid in self.reports]
        table = self.reports[stayed]["places"]
        assert table["broken"] == ""
        return {row["what"]: row for row in table["rows"]}


@pytest.fixture(scope="module")
def execs(kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Execs:
    folder = tmp_path_factory.mktemp("execs")
    files = {}
    for kind in KINDS:
        program = labs.compile_c("placed.c", folder, *LINKED[kind])
        files[f"/t/{kind}"] = program.rename(folder / kind)
    for library in LIBRARIES:
        files[library] = Path(shutil.copy(library, folder))
    program = labs.with_files("execs.c", folder, files)
    port = labs.free_port()
    try:
        found = labs.inside("randoms.py", port, folder, PROGRAM=program, ARGS=EXECS)
        console = labs.console_log(port)
    finally:
        assert labs.leaks(port) == []
    placed = []
    for part in console.split("mode ")[1:]:
        mode = part.split("\n")[0]
        for kind, pid, words in SAID.findall(part):
            pairs = (word.split("=") for word in words.split())
            at = {name: int(value, 0) for name, value in pairs}
            placed.append(Placed(int(pid), kind, mode, at))
    options = found.pop("options")
    return Execs(placed, {int(pid): report for pid, report in found.items()}, options)


def test_all_have_run(execs: Execs) -> None:
    assert len(execs.of("dynamic-pie", "random")) == EXECS + 1
    assert len(execs.placed) == EXECS + 1 + 8 * 5 and len(execs.reports) == 9


@pytest.mark.parametrize("mode", ["random", "fixed heap", "fixed"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_is_where_it_says(execs: Execs, kind: str, mode: str) -> None:
    """Each address is the process's own, and one that the kernel can have chosen."""
    rows = execs.rows(kind, mode)
    said = next(one.at for one in execs.of(kind, mode) if one.pid in execs.reports)
    assert ("interpreter" in rows) == (said["interpreter"] != 0)
    for what, row in rows.items():
        assert row["here"] == said[NAMES.get(what, what)], what
        assert row["fits"] is True, row
        assert row["away"] == abs(row["here"] - row["unrandomised"])
    assert len(rows) == 6 + ("interpreter" in rows)


@pytest.mark.parametrize("what", ["stack", "mmap_base", "interpreter", "program"])
def test_the_spread_fits_the_bits(execs: Execs, what: str) -> None:
    spread_fits(execs, what, lambda at: at[NAMES.get(what, what)])


def test_the_heaps_spread_fits_its_bits(execs: Execs) -> None:
    """It is counted from the end of the program, which is random, too."""
    spread_fits(execs, "heap", lambda at: at["heap"] - at["program"])


def spread_fits(
    execs: Execs, what: str, place: Callable[[dict[str, int]], int]
) -> None:
    row = execs.rows("dynamic-pie", "random")[what]
    found = [place(one.at) for one in execs.of("dynamic-pie", "random")]
    span, room = max(found) - min(found), row["places"] * row["step"]
    # arch_align_stack() can lower the stack by two pages more
    slack = 2 * PAGE if what == "stack" else 0
    assert SHARE * room < span < room + slack, (hex(span), hex(room))
    steps = {(value - found[0]) // row["step"] for value in found}
    assert all((value - found[0]) % row["step"] == 0 for value in found)
    # Each bit is sometimes 0 and sometimes 1; that one is not, all of 201 times, has a
    # probability of 2^-200
    low = room.bit_length() - row["step"].bit_length() - 1
    for bit in range(low):
        assert {step >> bit & 1 for step in steps} == {0, 1}, (what, bit)
    assert float(row["bits"]) == round(room.bit_length() - 1 - 12, 1)


def test_the_stack_pointer_has_bits_of_its_own(execs: Execs) -> None:
    """Eight more than the stack: it is moved in steps of 16 bytes, within two pages."""
    row = execs.rows("dynamic-pie", "random")["stack pointer"]
    assert row["bits"] == "30" and row["step"] == 16
    found = [one.at["pointer"] for one in execs.of("dynamic-pie", "random")]
    for bit in range(4, 12):
        assert {pointer >> bit & 1 for pointer in found} == {0, 1}
    assert all(pointer % 16 == 0 for pointer in found)
    below = [
        one.at["arguments"] - one.at["pointer"]
        for one in execs.of("dynamic-pie", "random")
    ]
    # 201 values in 8192 bytes, rounded down to 16: see SHARE
    assert SHARE * 8192 < max(below) - min(below) <= 8192


def test_the_vdso_is_behind_the_stack(execs: Execs) -> None:
    """Between the stack and the end of the page table, all of it used."""
    row = execs.rows("dynamic-pie", "random")["vdso"]
    assert 1 <= row["places"] <= 512
    shares = []
    for one in execs.of("dynamic-pie", "random"):
        stack, vdso = one.at["stack"], one.at["vdso"]
        end = -(-(stack + 1) // (2 << 20)) * (2 << 20)
        if vdso < stack:  # only at the end of the user's half there is no room
            assert TOP - stack < 8 * PAGE
        else:
            assert vdso < end + (2 << 20)
            shares.append((vdso - stack) / (end - stack))
    # A fair half of more than 150 values lies in one half of the room: all of them have a
    # probability of 2^-150
    assert len(shares) > 150 and min(shares) < 0.5 < max(shares)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_random(execs: Execs, kind: str) -> None:
    """All are at the same places: those that the lab computes from a random process."""
    fixed, rows = execs.of(kind, "fixed"), execs.rows(kind, "random")
    assert len(fixed) == 5
    for what, row in rows.items():
        found = {one.at[NAMES.get(what, what)] for one in fixed}
        if what == "heap" and row["unrandomised"] > rows["program"]["here"]:
            program = rows["program"]  # behind this one, as the next test has it, too
            moved = program["here"] - program["unrandomised"]
            assert found == {row["unrandomised"] - moved}
        else:
            assert found == {row["unrandomised"]}, what
    for row in execs.rows(kind, "fixed").values():
        assert row["bits"] == "0" and row["places"] == 1 and row["away"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_heap_that_is_not_random(execs: Execs, kind: str) -> None:
    """With randomize_va_space 1 it is where it would be without: behind the program."""
    row = execs.rows(kind, "fixed heap")["heap"]
    assert row["here"] == row["unrandomised"]
    rows = execs.rows(kind, "fixed heap")
    assert rows["stack"]["bits"] == "22" and rows["mmap_base"]["away"] > 0
    heaps = execs.of(kind, "fixed heap")
    if row["here"] > rows["program"]["here"]:
        behind = {one.at["heap"] - one.at["program"] for one in execs.of(kind, "fixed")}
        assert {one.at["heap"] - one.at["program"] for one in heaps} == behind
    else:  # newer kernels put that of a static-pie program at ELF_ET_DYN_BASE
        assert {one.at["heap"] for one in heaps} == {row["unrandomised"]}


def test_the_options_are_those_of_the_build(execs: Execs) -> None:
    config = (labs.kernel_dir() / "obj" / ".config").read_text()
    assert execs.options == dict(re.findall(r"^(CONFIG_\w+)=(.*)$", config, re.M))


def test_what_decides(execs: Execs) -> None:
    report = next(iter(execs.reports.values()))
    rows = {row["switch"]: row for row in report["switches"]["rows"]}
    assert all(row["agrees"] in (True, None) for row in rows.values()), rows
    for name, value in execs.options.items():
        if name in rows:
            assert rows[name]["value"] == value
    assert rows["command line: nokaslr"]["value"] == "given"
    assert rows["command line: norandmaps"]["value"] == "not given"
    assert rows["randomize_va_space"]["value"] == "2"
    assert rows["mmap_rnd_bits"]["value"] == execs.options["CONFIG_ARCH_MMAP_RND_BITS"]
    for row in report["kernel"]["rows"]:
        assert row["bits"] == "0" and row["away"] in (0, None)
