# SPDX-License-Identifier: GPL-2.0-only
"""Make and replay recordings, for test_record.py, test_notes.py and bench_replay.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from lab.replay import recording as manifests
from support import labs

FILES = {
    "log",
    "disk.qcow2",
    "initramfs.cpio",
    "console.log",
    "moments.json",
    "manifest.json",
}


def record(
    folder: Path, port: int, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run scripts/record.sh, the recipe of `make record`."""
    return labs.run("scripts/record.sh", RECORDING=folder, PORT=port, **settings)


def whole(folder: Path, port: int, **settings: Any) -> Path:
    """Make a recording, which must succeed."""
    ended = record(folder, port, **settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert {file.name for file in folder.iterdir()} == FILES
    return folder


def replay(
    folder: Path, port: int, *commands: str, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run scripts/replay.sh with gdb commands on its standard input."""
    return subprocess.run(
        [labs.ROOT / "scripts" / "replay.sh"],
        cwd=labs.ROOT,
        env=labs.environment(RECORDING=folder, PORT=port, **settings),
        input="\n".join(commands) + "\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=labs.LIMIT * 2,
    )


def output(folder: Path, port: int, *commands: str, **settings: Any) -> str:
    """Replay a recording, which must succeed, and return what it printed."""
    ended = replay(folder, port, *commands, **settings)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def inside(
    script: str, folder: Path, port: int, tmp: Path, given: object = None
) -> Any:
    """Run tests/debugger/in_gdb/SCRIPT in the gdb of a replay; see labs.inside()."""
    settings = {"LAB_GIVEN": json.dumps(given), "LAB_RESULT": tmp / f"{port}.json"}
    commands = (
        "source gdb/seginfo.py",
        "seginfo brief",
        f"source tests/debugger/in_gdb/{script}",
    )
    return labs.result_of(script, settings, output(folder, port, *commands, **settings))


def copy(folder: Path, to: Path) -> Path:
    """Copy a recording with hard links: to change a file of the copy, replace it."""
    shutil.copytree(folder, to, copy_function=os.link)
    return to


def reseal(folder: Path, **changed: Any) -> None:
    """Change facts in the manifest, and seal it again."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    for name in ("files", "schema", "version", "seginfo", "sha256"):
        del manifest[name]
    file.unlink()
    manifests.seal(folder, manifest | changed)
