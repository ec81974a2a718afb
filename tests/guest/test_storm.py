# SPDX-License-Identifier: GPL-2.0-only
"""Threads map and unmap while others call: no call is missed or misjudged."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from support import labs


@pytest.mark.parametrize("calls", [60, pytest.param(300, marks=pytest.mark.slow)])
def test_every_call_of_a_storm_is_checked(
    port: int, tmp_path: Path, calls: int
) -> None:
    """Each of two threads calls so often, while two others map and unmap."""
    file = tmp_path / "result.json"
    output = labs.debug(
        port,
        "source gdb/seginfo.py",
        "seginfo run",
        "seginfo brief",
        "continue",
        f"seginfo json {file}",
        PROGRAM=labs.USER / "storm",
        ARGS=f"2,2,{calls}",
        SMP=2,
    )
    counted = re.search(r"^storm: (\d+) calls, (\d+) ok$", labs.console_log(port), re.M)
    assert counted and counted[1] == counted[2], labs.console_log(port)
    result = json.loads(file.read_text())
    hits = result["hits"]
    assert len(hits) == int(counted[1]) == 2 * calls
    assert (result["passed"], result["failed"]) == (len(hits), 0)
    assert all(hit["mismatches"] == [] and hit["result"] == hit["tid"] for hit in hits)
    assert output.count("\nPASS  hit ") == len(hits) and "FAIL" not in output

    # It was a storm: both callers called, and the areas kept changing
    assert len({hit["tid"] for hit in hits}) == 2
    assert len({hit["areas"] for hit in hits}) > 10  # 20 once, on a busy machine


@pytest.mark.once
@pytest.mark.slow
def test_ctrl_c_loses_no_call(port: int) -> None:
    """An interrupt may come at a breakpoint, or during the check."""
    settings = {"PROGRAM": labs.USER / "storm", "ARGS": "2,2,100"}
    with labs.session(
        labs.ROOT / "scripts" / "debug.sh", PORT=port, **settings
    ) as person:
        person.prompt()
        for command in ("source gdb/seginfo.py", "seginfo run", "seginfo brief"):
            person.gdb(command)
        output = ""
        for interrupts in range(1, 2000):
            person.type("continue")
            person.wait("Continuing")
            time.sleep(0.05 + 0.013 * (interrupts % 10))  # at varying moments
            output += person.interrupt()
            if "storm: 200 calls, 200 ok" in labs.console_log(port):
                break
        assert interrupts > 5
        assert "FAIL" not in output and "Traceback" not in output
        assert "200 hits, 200 passed, 0 failed" in person.gdb("seginfo")
        person.type("quit")
        assert person.end()[1] == 0
