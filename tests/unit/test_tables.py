# SPDX-License-Identifier: GPL-2.0-only
"""How tables look as text: folding, wide characters, escaped control characters."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.cells import cell_len

from lab.result import Address, Check, Flags, Number, Size, Table, Words
from lab.view import tables

KINDS = {"n": Number, "s": Size, "t": Words, "u": Words, "f": Flags, "a": Address}
KINDS |= {"r": Words, "c": Check}


def shown(
    columns: str, rows: list[tuple[Any, ...]], width: int = 0, colour: bool = False
) -> list[str]:
    """Return a table's lines; the first two are the heading and the rule below it."""
    row = NamedTuple("Row", [(name, KINDS[name]) for name in columns])  # type: ignore[misc]
    table = Table(row, "", [row(*cells) for cells in rows])
    return list(tables.lines(table, width, colour))


def test_kinds() -> None:
    rows = [
        (4096, 7, 135168, "text", ["x", "y"], True),
        (0, 12345, 3 << 40, "", [], "it is not"),
        (None, None, None, None, [], True),
    ]
    head, rule, *lines = shown("anstfc", rows)
    assert head.split() == ["a", "n", "s", "t", "f", "c"]
    assert set(rule) == {"─"} and len(rule) == max(map(len, lines))
    assert lines[0] == "0x1000      7  132 KiB  text  x y  ok"
    assert lines[1].split() == ["0x0", "12345", "3", "TiB", "it", "is", "not"]
    assert lines[2].split() == ["-", "-", "-", "-", "ok"]


def test_folding_keeps_every_character() -> None:
    name = "/a/very/long/name/of/a/file/" + "x" * 70
    rows = [(1, name, "short"), (2, "brief", "some words that go on " * 4)]
    assert max(map(len, shown("ntu", rows))) > 100
    folded = shown("ntu", rows, width=70)
    assert max(map(len, folded)) <= 70
    text = "".join("".join(line.split()) for line in folded[2:])
    for word in ("1", "short", "2", "brief"):
        assert word in text
    assert text.count("x") == 70 and text.count("words") == 4
    numbers = [line for line in folded[2:] if line[0] in "12"]
    assert len(numbers) == 2


def test_wide_characters_stay_in_line() -> None:
    rows = [("漢字", 1), ("plain", 22), ("é", 333)]
    lines = shown("tn", rows)[2:]
    assert len({cell_len(line) for line in lines}) == 1
    assert all(line.endswith(str(row[1])) for line, row in zip(lines, rows))


def test_nothing_is_said_to_the_terminal() -> None:
    rows = [("\x1b[31mred\x07", 1), ("two\nlines", 2), ("tab\there", 3)]
    lines = shown("tn", rows)
    assert len(lines) == 5
    assert "\x1b" not in "".join(lines) and "\x07" not in "".join(lines)
    assert "\\x1b[31mred\\x07" in lines[2] and "two\\nlines" in lines[3]


def test_colours_only_where_asked_for() -> None:
    rows = [("a rule", True), ("another", "broken")]
    plain = shown("rc", rows)
    coloured = shown("rc", rows, colour=True)
    assert "\x1b" not in "".join(plain)
    assert "\x1b[32mok\x1b[0m" in coloured[2]
    assert "\x1b[1;31mbroken\x1b[0m" in coloured[3]


def test_many_rows() -> None:
    """Folding one row leaves the others as they are."""
    rows = [(i, f"name {i}") for i in range(2000)] + [(2000, "long " * 40)]
    lines = shown("nt", rows, width=60)
    assert lines[2:2002] == [f"{i:4}  name {i}" for i in range(2000)]
    assert len(lines) > 2005
