# SPDX-License-Identifier: GPL-2.0-only
"""The lab on files alone: a core file and a vmlinux, in a Python without gdb."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from support import labs, layouts
from support.witnessed import Moment

SUPPORT = labs.ROOT / "tests" / "support"


@pytest.fixture(scope="module")
def moment(moments: Callable[..., Moment]) -> Moment:
    """A moment with all scenes, asleep."""
    return moments()


@pytest.fixture(scope="module")
def core(moment: Moment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lab dump writes at that moment."""
    file = tmp_path_factory.mktemp("core") / "core"
    moment.gdb(f"lab dump {file}")
    return file


@pytest.fixture(scope="module")
def found(core: Path, vmlinux: Path) -> Any:
    """What plain Python reads from it."""
    ended = labs.run("/usr/bin/python3", SUPPORT / "read_core.py", core, vmlinux)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_threads_are_those_that_gdb_shows(moment: Moment, found: Any) -> None:
    rows = moment.table("threads")
    seen = {thread["address"]: thread for thread in found["threads"]}
    assert len(rows) == len(seen) > 20
    for row in rows:
        task = seen[row["task"]]
        same = ("pid", "tgid", "ppid", "uid", "euid", "state", "cpu", "threads")
        assert [task[name] for name in same] == [row[name] for name in same]
        assert row["comm"].strip("[]") == task["comm"]


def test_areas_are_those_that_gdb_shows(moment: Moment, found: Any) -> None:
    compared = 0
    for pid in moment.users():
        if str(pid) not in found["areas"]:
            assert moment.stat(pid)[3] == "Z"
            continue
        rows = moment.table(f"vmas {pid}")
        areas = found["areas"][str(pid)]
        assert [area | {"flags": list(area["flags"])} for area in areas] == rows
        compared += len(rows)
    assert compared > 100


def test_every_processor_runs_what_gdb_shows(moment: Moment, found: Any) -> None:
    rows = moment.table("current")
    assert found["current"] == {str(row["cpu"]): row["task"] for row in rows}


def refused(*files: object) -> str:
    """Return the sentence with which files are refused."""
    code = (
        "import sys; sys.path.insert(0, 'gdb')\n"
        "from lab.target import files_debugger\n"
        "from lab.target.debugger import Refused\n"
        "try: files_debugger.core(*sys.argv[1:])\n"
        "except Refused as why: print(why)\n"
    )
    ended = labs.run("/usr/bin/python3", "-c", code, *files)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.once
def test_files_that_are_no_core(core: Path, vmlinux: Path, tmp_path: Path) -> None:
    assert "it is no core file" in refused(vmlinux, vmlinux)
    assert "No such file" in refused(tmp_path / "none", vmlinux)
    (tmp_path / "text").write_text("hello\n" * 100)
    assert "it is no ELF file" in refused(tmp_path / "text", vmlinux)
    cut = tmp_path / "cut"
    with open(core, "rb") as file:
        cut.write_bytes(file.read(1 << 20))
    assert "it is cut" in refused(cut, vmlinux)
    assert "no debug info" in refused(core, labs.which("true"))


@pytest.mark.once
def test_it_reads_where_no_gdb_is(core: Path, vmlinux: Path) -> None:
    """The module gdb exists only in gdb: more than 50 modules are loaded without it."""
    code = (
        "import importlib, pkgutil, sys; sys.path.insert(0, 'gdb')\n"
        "import lab\n"
        "for module in pkgutil.walk_packages(lab.__path__, 'lab.'):\n"
        "    try: importlib.import_module(module.name)\n"
        "    except ModuleNotFoundError as missing:\n"
        "        assert missing.name == 'gdb', missing\n"
        "    else: print(module.name)\n"
    )
    ended = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", code],
        cwd=labs.ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    rooms = ended.stdout.split()
    assert len(rooms) >= 100
    for room in (
        "lab.linux",
        "lab.programs",
        "lab.check.payload",
        "lab.replay.recording",
    ):
        assert room in rooms


def layout_of(vmlinux: Path, name: str, folder: Path) -> Any:
    """Return the layout that `make layouts` would write now."""
    file = folder / f"{name}.json"
    ended = labs.run("/usr/bin/python3", SUPPORT / "layouts.py", name, vmlinux, file)
    assert ended.returncode == 0, ended.stderr
    return json.loads(file.read_text())


def test_the_layout_of_the_unit_tests_is_that_of_the_kernel(
    kernel: Path, vmlinux: Path, tmp_path: Path
) -> None:
    """And nothing the lab asks for by name is missing there.

    What it asks for no longer may still be there: whoever takes out a line need not have
    both kernels. A later stable kernel may move members, and lengthen arrays.
    """
    kept = SUPPORT.parent / "unit" / "layouts" / f"{kernel.name}.json"
    if not kept.exists():
        pytest.skip(f"the unit tests have no layout of {kernel.name}")
    made = layout_of(vmlinux, kernel.name, tmp_path)
    known = json.loads(kept.read_text())
    places = made["release"] == known["release"]
    missing = sorted(layouts.facts_of(made, places) - layouts.facts_of(known, places))
    assert not missing, "type make layouts"


def test_addresses_are_those_of_gdb(vmlinux: Path, tmp_path: Path) -> None:
    """Of all symbols that the lab asks for, and of none that there is not."""
    names = sorted(layouts.wanted().symbols)
    absent = ["no_such_symbol", "nit_task", "init_tas"]
    settings = {
        "LAB_GIVEN": json.dumps([*names, *absent]),
        "LAB_RESULT": tmp_path / "symbols.json",
    }
    script = "source tests/debugger/in_gdb/symbols.py"
    ended = labs.gdb(script, program=vmlinux, **settings)
    found = labs.result_of("symbols.py", settings, ended.stdout + ended.stderr)
    assert [row for row in found if row[1] != row[2]] == []
    known = {name for name, ours, _ in found if ours is not None}
    assert len(known) > 50 and not known & {*absent}
