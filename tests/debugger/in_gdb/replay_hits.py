# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: forward through all hits, back to the first, and forward again."""

import sys

import gdb

sys.path.insert(0, "tests/debugger/in_gdb")
from replay import all_hits, check, done, moments, place, run, state  # noqa: E402

reports: list[list] = []
report = check.log.report


def note(hit) -> None:
    reports.append([place(), hit.number, hit.passed])
    report(hit)


check.log.report = note
result = {"moments": moments()}
forward: list = []
while not forward or forward[-1][0] < result["moments"][-1]["instruction"]:
    gdb.execute("continue")
    forward.append(state())
result["forward"], result["hits"] = forward, all_hits()
result["first reports"] = list(reports)
result["at the end"] = run("continue"), run("stepi"), place()
reports.clear()
back: list = []
while not back or back[-1][0] > result["moments"][0]["instruction"]:
    gdb.execute("reverse-continue")
    back.append(state())
result["back"], result["reports going back"] = back, list(reports)
result["at the start"] = run("reverse-continue"), run("reverse-stepi"), place()
result["hits after going back"] = all_hits()
reports.clear()
again = []
for _ in forward:
    gdb.execute("continue")
    again.append(state())
result["again"], result["reports again"] = again, list(reports)
result["hits again"], result["calls"] = all_hits(), len(check.calls)
result["errors"] = check.errors
done(result)
