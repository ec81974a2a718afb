# SPDX-License-Identifier: GPL-2.0-only
"""Run a program to its end, and wait for a condition: what all tests need."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Callable, Iterable


def run(
    command: Iterable[object], cwd: Path | None, env: dict[str, str], limit: float
) -> subprocess.CompletedProcess[str]:
    """Run a program without a terminal, and capture its output, whatever bytes it prints.

    :raises subprocess.TimeoutExpired: it still runs after limit seconds
    """
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=limit,
    )


def wait_until(condition: Callable[[], object], limit: float = 30) -> bool:
    """Wait for a condition; return whether it came true within limit seconds."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
