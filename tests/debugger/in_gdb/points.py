# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: how the points of a timeline are found in a kernel."""

import json
import os

from lab.target.debugger import Refused
from lab.trace.event import Point, resolve

GONE = ("was_renamed", "is_gone")
there = Point(("was_renamed", "do_exit"), "an end", lambda moment: None)
needed = Point(GONE, "what it was", lambda moment: None)
optional = Point(GONE, "what it was", lambda moment: None, optional=True)
found: dict[str, object] = {"function": there.function()}
try:
    resolve([there, needed], "test")
except Refused as refusal:
    found["needed"] = str(refusal)
points, found["optional"] = resolve([there, optional], "test")
assert points == [there]
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(found, file)
