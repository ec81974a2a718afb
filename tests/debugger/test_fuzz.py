# SPDX-License-Identifier: GPL-2.0-only
"""Random damage to the kernel's memory, and every command on it: in_gdb/fuzz.py.

The seed is fixed, so the same kernel gets the same damage, as far as time allows. Set
FUZZ_SEED and FUZZ_SECONDS in the environment for a longer search.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Callable

import pytest

from support.witnessed import Moment

SCENES = ("static", "threads", "files", "family", "names", "memory")
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SECONDS = int(os.environ.get("FUZZ_SECONDS", "300"))
MOST = 20_000 if SECONDS == 300 else 1 << 40  # commands
LEAST = 500  # even on a busy machine


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 900)
def test_random_damage(moments: Callable[..., Moment], tmp_path: Path) -> None:
    moment, file = moments(*SCENES), tmp_path / "fuzz.json"
    given = {"seed": SEED, "seconds": SECONDS, "most": MOST, "result": str(file)}
    moment.gdb(f"python GIVEN = {given!r}")
    output, error = moment.try_gdb(
        "source tests/debugger/in_gdb/fuzz.py", SECONDS + 300
    )
    assert file.exists(), output + error
    found = json.loads(file.read_text())
    counts = {name: value for name, value in found.items() if name != "findings"}
    print(f"seed {SEED}: {counts}", file=sys.stderr)
    assert found["commands"] >= LEAST and found["kinds"] > 40
    report = "\n\n".join(
        "\n".join(map(str, finding)) for finding in found["findings"][:20]
    )
    assert not found["findings"], f"{len(found['findings'])} findings:\n{report}"
