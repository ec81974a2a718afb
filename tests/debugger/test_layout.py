# SPDX-License-Identifier: GPL-2.0-only
"""layout lab in a real terminal: what the window shows, and that gdb stays usable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

import pytest

from support import labs
from support.tmux import Screen, screen

Rows = list[dict[str, Any]]
SIZES = ((150, 66), (120, 40), (80, 24), (60, 20))
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
AREA = re.compile(
    r"^(?P<mark>[-+~ ]) *(?P<start>[0-9a-f]+)(-(?P<end>[0-9a-f]+))?"
    r"( +(?P<size>[\d.]+)(?P<unit>[KMGT]))? *(?P<perms>[r-][w-][x-][ps]) ?(?P<name>.*)$"
)
GATE = "[vsyscall]"  # a page in the kernel's half, which is not drawn
INSTEAD = "`lab vmas` and `lab map` show the address space without it."


def at_a_hit(person: Screen) -> None:
    """Open the layout and continue to the first call."""
    for command in ("source gdb/seginfo.py", "seginfo brief", "layout lab", "continue"):
        person.gdb(command)


def areas(lines: list[str]) -> list[re.Match[str]]:
    """Return the lines that are areas, without those at the top about changes."""
    found = [AREA.match(line) for line in lines]
    return [match for match in found if match and match["start"] not in match["name"]]


def vmas(person: Screen) -> Rows:
    """Return the areas of `lab vmas` at the last prompt."""
    (table,) = person.report("vmas")
    return [row for row in table["rows"] if row["name"] != GATE]


def check_areas(shown: list[re.Match[str]], rows: Rows) -> None:
    """Check that each area is shown, in order, as in `lab vmas`."""
    assert [int(area["start"], 16) for area in shown] == [row["start"] for row in rows]
    for area, row in zip(shown, rows):
        assert area["perms"] == row["perms"]
        assert area["end"] is None or int(area["end"], 16) == row["end"]
        name = row["name"] or "[anon]"
        assert name.startswith(area["name"]) or name.endswith(area["name"][2:])
        if area["size"]:
            size = float(area["size"]) * UNITS[area["unit"]]
            assert size == pytest.approx(row["size"], rel=0.01)


@pytest.mark.once
def test_areas_at_any_size(port: int, tmp_path: Path) -> None:
    with screen(tmp_path, port, *SIZES[0]) as person:
        at_a_hit(person)
        rows = vmas(person)
        for size in SIZES:
            person.resize(*size)
            shown = areas(person.all_of_window())
            check_areas(shown, rows)
            wide = [bool(area["size"]) for area in shown]
            assert set(wide) == {size[0] > 60}
        person.press(*["PPage"] * 99)
        before = person.window()
        person.press("Right", "Right", "Right")
        for old, new in zip(before, person.window()):
            assert new.startswith(old[3:].rstrip(">")) or "/" in old
        person.press("Left", "Left", "Left", "Down", "Down")
        assert person.window()[:-2] == before[2:]


def changed(before: Rows, after: Rows) -> dict[int, str]:
    """Return the marks that two lists of areas call for, by start of the area."""
    key = ("start", "end", "perms", "offset", "name")
    old = {tuple(row[name] for name in key) for row in before}
    new = {tuple(row[name] for name in key) for row in after}

    def meets(area: tuple, others: set[tuple]) -> bool:
        return any(area[0] < other[1] and other[0] < area[1] for other in others)

    marks = {area[0]: "~" if meets(area, old) else "+" for area in new - old}
    gone = {area[0]: "-" for area in old - new if not meets(area, new)}
    return marks | gone


def test_changes_are_marked(
    port: int, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    with screen(tmp_path, port, 110, 60, PROGRAM=program("remap.c")) as person:
        at_a_hit(person)
        assert not any(area["mark"].strip() for area in areas(person.window()))
        seen = ""
        for _ in range(5):
            before = vmas(person)
            person.gdb("continue")
            expected = changed(before, vmas(person))
            shown = areas(person.window())
            marks = {int(area["start"], 16): area["mark"] for area in shown}
            assert {
                start: mark for start, mark in marks.items() if mark != " "
            } == expected
            seen += "".join(expected.values())
            person.gdb("up")  # read again, and compared with the same stop as before
            shown = areas(person.window())
            again = {int(area["start"], 16): area["mark"] for area in shown}
            assert again == marks
        assert sorted(seen) == ["+", "-", "~", "~", "~", "~", "~"]
        assert any("\x1b[33m" in line for line in person.window(colours=True))
        person.gdb("set style enabled off")
        assert not any("\x1b[33m" in line for line in person.window(colours=True))
        assert any(area["mark"] == "~" for area in areas(person.window()))
        person.gdb("stepi")
        assert not any(area["mark"].strip() for area in areas(person.window()))
        assert any("unchanged since the last stop" in line for line in person.window())


def pointer(person: Screen, name: str) -> str:
    """Return the window's text about a pointer."""
    (line,) = [line for line in person.window() if line.startswith(f"{name} ")]
    return line.removeprefix(name).strip()


@pytest.mark.once
def test_where_pointers_point(port: int, tmp_path: Path) -> None:
    with screen(tmp_path, port, 160, 60) as person:
        at_a_hit(person)
        person.gdb("seginfo run")
        person.gdb("thbreak segment_info_fill")
        person.gdb("continue")
        registers = {row["register"]: row for row in person.report("regs")[1]["rows"]}
        assert pointer(person, "$pc").startswith("segment_info_fill+")
        assert pointer(person, "$sp").startswith("kernel stack+0x")
        assert re.search(r" of segment_info_fill\(\) ", pointer(person, "arg"))
        for name, register in (
            ("user pc", "ip"),
            ("user sp", "sp"),
            ("user arg", "di"),
        ):
            value, what = registers[register]["value"], registers[register]["meaning"]
            text = pointer(person, name)
            assert text.endswith(f"  {value:x}")
            place = what.split(", ")[-1]
            assert text.startswith(place), (text, place)
            (holder,) = [
                row for row in vmas(person) if row["start"] <= value < row["end"]
            ]
            lines = person.window()
            below = next(
                i for i, line in enumerate(lines) if f"{name} {value:x}" in line
            )
            assert any(
                f"{holder['start']:x}" in line for line in lines[below - 2 : below]
            )
        assert "info of segment_info()" in pointer(person, "user arg")

        person.gdb("up")
        assert "segment_info_fill" not in pointer(person, "$pc #1")
        for place, name in (("ksys_write", "buf"), ("vfs_write", "pos")):
            person.gdb(f"thbreak {place}")
            person.gdb("continue")
            registers = {
                row["register"]: row for row in person.report("regs")[1]["rows"]
            }
            assert f"  {name} of {place}()  " in pointer(person, "arg")
            user = pointer(person, "user arg")
            assert user.endswith(f"  buf of write()  {registers['si']['value']:x}")
            assert name != "buf" or user.replace("write", place) == pointer(
                person, "arg"
            )

        person.gdb(f"thbreak *{registers['ip']['value']:#x}")
        person.gdb("continue")
        assert "user mode" in person.window()[0]
        assert pointer(person, "$pc").endswith(f"  {registers['ip']['value']:x}")
        assert pointer(person, "arg") == "not known: no debug info for user code"


@pytest.mark.once
def test_no_address_space(port: int, tmp_path: Path) -> None:
    with screen(tmp_path, port, 120, 50) as person:
        at_a_hit(person)
        person.gdb("seginfo run")
        person.gdb("thbreak kthread_should_stop")
        person.gdb("continue")
        assert any("is a kernel thread: " in line for line in person.window())
        person.gdb("thbreak do_idle")
        person.gdb("continue")
        assert any("is the idle task: " in line for line in person.window())
        text = " ".join(person.window())
        assert "no address space of its own" in text
        regions = [
            row
            for part in person.report("kernel")
            if isinstance(part, dict)
            for row in part["rows"]
            if row.get("name") in ("direct map", "vmalloc", "vmemmap")
        ]
        assert len(regions) == 3
        for row in regions:
            assert any(
                f"{row['start']:x}" in line and line.endswith(row["name"])
                for line in person.window()
            )


@pytest.mark.once
def test_trouble_is_a_sentence(port: int, tmp_path: Path) -> None:
    with screen(tmp_path, port, 120, 50) as person:
        person.gdb("source gdb/seginfo.py")
        person.gdb("layout lab")
        assert "does not run yet" in " ".join(person.window())
        person.gdb("seginfo brief")
        person.gdb("continue")
        first = "mmap"
        if "no member" in "".join(person.gdb("print &((struct mm_struct *)0)->mmap")):
            first = "mm_mt.ma_root"
        root = f"*(unsigned long *)&$lab_mm()->{first}"
        person.gdb(f"set $kept = {root}")
        person.gdb(f"set var {root} = 0x123456")
        (broken,) = [table["broken"] for table in person.report("vmas")]
        assert broken and broken.lower() in " ".join(person.window()).lower()
        assert pointer(person, "$sp").startswith("kernel stack+0x")
        person.gdb(f"set var {root} = $kept")
        check_areas(areas(person.window()), vmas(person))
        person.gdb("disconnect")
        assert "No kernel is connected" in " ".join(person.window())
        assert not any("Traceback" in line for line in person.lines())


@pytest.mark.once
def test_stays_usable(port: int, tmp_path: Path) -> None:
    with screen(tmp_path, port, 120, 60) as person:
        at_a_hit(person)

        def is_whole() -> None:
            check_areas(areas(person.window()), vmas(person))
            assert person.lines()[0].startswith("┌─") and person.lines()[-1]

        is_whole()
        before = person.lines()[:20]
        person.press("C-l")
        assert person.lines()[:20] == before
        person.gdb("winheight lab -8")
        assert len(person.window()) < 40
        check_areas(areas(person.all_of_window()), vmas(person))
        # gdb 16.3 fails an assertion when a layout follows a step without the TUI
        person.gdb("layout src")
        person.gdb("stepi")
        person.gdb("layout lab")
        person.gdb("tui disable")
        person.gdb("stepi")
        assert not any("┐" in line for line in person.lines()[-3:])
        person.gdb("tui enable")
        person.gdb("winheight lab 45")
        is_whole()
        person.press("C-x", "a")
        person.gdb("stepi")
        person.press("C-x", "a")
        is_whole()
        assert "Traceback" not in "".join(person.gdb("source gdb/seginfo.py"))
        is_whole()
        person.gdb("stepi")
        is_whole()
        # It is drawn by the package that was loaded last
        person.gdb("python import lab.view.tui")
        person.gdb("python lab.view.tui.short_size = lambda size: '77K'")
        person.gdb("stepi")
        assert {area["size"] for area in areas(person.window())} == {"77"}
        # A line longer than the terminal does not break the windows
        person.gdb("thbreak do_idle")
        assert person.lines()[0].startswith("┌─")
        assert "(gdb) thbreak do_idle" in person.lines()


@pytest.mark.once
def test_report_beside_the_window(port: int, tmp_path: Path) -> None:
    with screen(tmp_path, port, 100, 90) as person:
        for command in ("source gdb/seginfo.py", "layout lab", "winheight lab 6"):
            person.gdb(command)
        report = person.gdb("continue")
        start = next(
            i for i, line in enumerate(report) if "segment_info hit 1:" in line
        )
        end = next(
            i for i, line in enumerate(report) if line.startswith("PASS  hit 1,")
        )
        (first,) = vmas(person)[:1]
        body = report[start:end]
        assert any(re.match(rf" ma\[0\] +{first['start']:x}-", line) for line in body)
        assert len([line for line in body if line.endswith(" ok")]) > 20
        assert not any("#0" in line for line in body), body
        assert any(line.startswith("#0  0x") for line in report[end:])


def test_many_areas(port: int, tmp_path: Path) -> None:
    with screen(
        tmp_path, port, 100, 40, PROGRAM=labs.USER / "many", ARGS="20000"
    ) as person:
        at_a_hit(person)
        rows = vmas(person)
        assert len(rows) > 20000
        assert any(f"{len(rows):,} areas" in line for line in person.window())
        person.gdb("focus lab")
        person.press(*["NPage"] * 40)
        shown = areas(person.window())
        starts = [row["start"] for row in rows]
        first = starts.index(int(shown[0]["start"], 16))
        assert first > 500
        check_areas(shown, rows[first : first + len(shown)])


@pytest.mark.once
@pytest.mark.parametrize(
    ("before", "command", "says"),
    [
        ((), "layout lab", f"layout lab: gdb's TUI needs a terminal; {INSTEAD}"),
        ((), "layout lab now", "layout lab takes no argument; see `help layout lab`."),
        (
            ("python del gdb.register_window_type", "source gdb/seginfo.py"),
            "layout lab",
            "layout lab: this gdb was built without its text user interface (TUI): "
            f"use Debian's package gdb; {INSTEAD}",
        ),
    ],
)
def test_refusals(port: int, before: tuple[str, ...], command: str, says: str) -> None:
    output = labs.debug(port, "source gdb/seginfo.py", *before, command)
    assert says in re.sub(r"\s+", " ", output)
    assert "Traceback" not in output


@pytest.mark.once
def test_terminal_without_a_cursor(port: int, tmp_path: Path) -> None:
    with screen(tmp_path, port, 100, 30, TERM="dumb") as person:
        person.gdb("source gdb/seginfo.py")
        output = " ".join(person.gdb("layout lab"))
        assert "TERM says it has none" in output and "lab vmas" in output
