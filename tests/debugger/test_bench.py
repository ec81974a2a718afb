# SPDX-License-Identifier: GPL-2.0-only
"""What `make bench` runs inside gdb and drgn still works; its speed does not matter here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest

from support import labs, other_readers
from support.witnessed import Moment

SCENES = AREAS, PAGES, CROWD = "many=2000", "pages=2000", "crowd=30"


@pytest.mark.once
def test_all_walks_are_measured(moments: Callable[..., Moment], tmp_path: Path) -> None:
    moment = moments(*SCENES)
    file, dump = tmp_path / "result.json", tmp_path / "core"
    given = {
        "result": str(file),
        "areas": {AREAS: moment.pid(AREAS)},
        "pages": {PAGES: moment.pid(PAGES)},
        "repeats": 1,
    }
    moment.gdb(f"python GIVEN = {given!r}")
    moment.gdb("source tests/debugger/in_gdb/explore_speed.py")
    found = json.loads(file.read_text())
    assert found["ps"]["tasks"] > 30
    assert found["vmas"][AREAS]["areas"] >= 2000
    assert found["pages"][PAGES]["pages"] >= 2000
    assert found["ram"]["frames"] > 60_000 and len(found["ram"]["views_s"]) >= 7
    moment.gdb(f"lab dump {dump}")
    vmlinux = labs.kernel_dir() / "obj" / "vmlinux"
    pids = [moment.pid(AREAS), moment.pid(PAGES)]
    by_drgn = other_readers.drgn(vmlinux, dump, "speed.py", 1, *pids)
    assert by_drgn["tasks"] == found["ps"]["tasks"]
    assert list(by_drgn["processes"]) == list(map(str, pids))
