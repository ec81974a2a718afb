# SPDX-License-Identifier: GPL-2.0-only
"""What all scripts have in common: a head that --help shows, and a width."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support import labs

pytestmark = pytest.mark.once

FILES = subprocess.run(
    ["git", "ls-files", "*.sh", ".ci/run"],
    cwd=labs.ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.split()
SCRIPTS = [name for name in FILES if (labs.ROOT / name).read_bytes().startswith(b"#!")]
# A kernel is built anew with each byte of these.
FROZEN = (
    "kernel/",
    "scripts/build-kernel.sh",
    "scripts/configure.sh",
    "scripts/farm.sh",
)
MENDABLE = [name for name in FILES if not name.startswith(FROZEN)]
NO_HELP = (".ci/run", "scripts/foreground.sh", "kernel/wire.sh")


def test_what_can_be_called_is_a_script() -> None:
    assert {"scripts/debug.sh", "initramfs/build.sh"} <= set(SCRIPTS)
    for name in FILES:
        executable = bool((labs.ROOT / name).stat().st_mode & 0o100)
        assert executable == (name in SCRIPTS), name


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in NO_HELP])
def test_help_is_the_head_of_the_script(name: str) -> None:
    """It is shown before anything is looked at, wherever one stands."""
    script = labs.ROOT / name
    for option in ("--help", "-h"):
        told = labs.run(script, option, KERNEL="no such kernel", PORT="no port")
        assert (told.returncode, told.stderr) == (0, ""), name
        assert told.stdout.startswith(f"Usage: {name}"), told.stdout
        assert "shellcheck" not in told.stdout and "SPDX" not in told.stdout


@pytest.mark.parametrize("name", MENDABLE)
def test_lines_fit(name: str) -> None:
    """120 columns, a tab for four, as .editorconfig says."""
    lines = Path(labs.ROOT / name).read_text().expandtabs(4).splitlines()
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize("name", MENDABLE)
def test_options_are_set_in_one_place(name: str) -> None:
    """By lib.sh, or by a script that stands alone."""
    text = (labs.ROOT / name).read_text()
    sets = "set -euo pipefail" in text.splitlines()
    sources = re.search(r'^\. ".*/(lib|guest)\.sh"$', text, re.MULTILINE)
    stands_alone = name in SCRIPTS and not sources
    assert sets == (name == "scripts/lib.sh" or stands_alone), name
