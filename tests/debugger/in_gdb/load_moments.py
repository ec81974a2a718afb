# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: which of some files of moments are refused, and with which error."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.join(os.getcwd(), "gdb"))
from lab.replay.moments import Moments  # noqa: E402 (found only now)

found = []
for name in json.loads(os.environ["LAB_GIVEN"]):
    try:
        found.append(len(Moments.load(Path(name))))
    except Exception as problem:
        found.append(type(problem).__name__)
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(found, out)
