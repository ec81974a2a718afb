# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: run the given commands, and return the output of each, decoded if it is JSON."""

import json
import os
import sys

import gdb

sys.path.insert(0, "tests")
from support.reports import parts  # noqa: E402

given = json.loads(os.environ["LAB_GIVEN"])
answers = []
for command in given:
    try:
        text = gdb.execute(command, to_string=True)
    except gdb.error as refusal:
        text = f"error: {refusal}"
    try:
        answers.append(parts(text))
    except ValueError:
        answers.append(text)
if "every followed process has ended" in str(answers[-1:]):
    gdb.execute("continue", to_string=True)  # so that its console is complete
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(answers, file)
