# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, at a terminal: write what some lab commands report at each prompt.

The file LAB_RESULT gets the number of the prompt, and for each command its parts or the
error. LAB_GIVEN is the list of the commands.
"""

import json
import os
import sys

import gdb

sys.path.insert(0, "tests")
from support.reports import parts  # noqa: E402

COMMANDS = json.loads(os.environ["LAB_GIVEN"])
RESULT = os.environ["LAB_RESULT"]
prompts = 0


def ask(command: str) -> object:
    """Return the parts of a lab command's report, or its error."""
    try:
        return parts(gdb.execute(f"lab {command} --json", to_string=True))
    except gdb.error as refusal:
        return str(refusal)


def tell() -> None:
    """Write the reports, just before a prompt is shown."""
    global prompts
    prompts += 1
    reports = {"prompt": prompts, **{command: ask(command) for command in COMMANDS}}
    with open(f"{RESULT}.part", "w", encoding="utf-8") as file:
        json.dump(reports, file)
    os.rename(f"{RESULT}.part", RESULT)


gdb.events.before_prompt.connect(tell)
