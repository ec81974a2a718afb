# SPDX-License-Identifier: GPL-2.0-only
"""Tasks that are killed inside the call leave no stale state behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Callable

import pytest

from support import labs

EINTR = 4


@pytest.mark.once
def test_a_task_killed_inside_the_call(
    port: int, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    result = labs.inside(
        "kill.py",
        port,
        tmp_path,
        before=("source gdb/seginfo.py",),
        PROGRAM=program("killed.c"),
    )
    killed = [result["child"], -EINTR, True]
    assert result["hits"] == [killed] and result["calls"] == 0
    parent = result["child"] - 1
    assert result["all hits"] == [killed, [parent, parent, True]]
    assert result["all calls"] == 0
    assert result["breakpoints"].startswith("No breakpoints")
    assert "exited with 0" in labs.console_log(port)


@pytest.mark.once
@pytest.mark.slow
def test_a_storm_killed_by_its_parent(port: int, tmp_path: Path) -> None:
    program = labs.script(
        tmp_path / "killer",
        "for i in 1 2; do storm 4 4 100000 &",
        # not before all of its threads have started
        "until set -- /proc/$!/task/* && [ $# = 9 ]; do usleep 10000; done",
        "usleep 150000; kill -9 $!; wait $!; done",
        "storm 2 1 10",
    )
    file = tmp_path / "result.json"
    ended = labs.verify(port, PROGRAM=program, JSON=file)
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr
    hits = json.loads(file.read_text())["hits"]
    assert all(hit["mismatches"] == [] for hit in hits)
    assert re.search(r"^storm: 20 calls, 20 ok$", labs.console_log(port), re.M)
    last = [hit for hit in hits if hit["pid"] == hits[-1]["pid"]]
    assert len(last) == 20 and all(hit["result"] == hit["tid"] for hit in last)
    assert len(hits) > len(last)  # of the tasks that were killed
