# SPDX-License-Identifier: GPL-2.0-only
"""Where on this machine a file of the guest may be, by its path in the guest."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the clone
PROGRAM = "/lab/program"  # where the guest has what PROGRAM= names
SHARE = "/mnt/host_share/"
DELETED = " (deleted)"


def candidates(name: str) -> list[str]:
    """Paths to try, the likeliest first. None of them need exist or be the same."""
    name = name.removesuffix(DELETED)
    build = Path(os.environ.get("BUILD") or ROOT / "build")
    found: list[Path] = []
    if name == PROGRAM and os.environ.get("PROGRAM"):
        found.append(ROOT / os.environ["PROGRAM"])
    if name.startswith(SHARE):
        found.append(build / "share" / name.removeprefix(SHARE))
    base = os.path.basename(name)
    if base:
        found += [folder / "user" / base for folder in (build, ROOT / "build")]
    if name.startswith("/"):
        found.append(Path(name))  # such as a library, where both have the same
    return [str(path) for path in found]
