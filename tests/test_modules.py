# SPDX-License-Identifier: GPL-2.0-only
"""Modules: into the guest, and their functions by the names the kernel has."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import lab
import modules


def test_a_program_brings_its_modules(
    port: int, module: Callable[..., Path], tmp_path: Path
) -> None:
    program = modules.carrier("insmod.c", tmp_path, module("hello"))
    args = "/bin/busybox,cat,/proc/modules"
    said = lab.run("scripts/boot.sh", PORT=port, PROGRAM=program, ARGS=args)
    assert "\nhello 16384 0 - Live 0xffffffff" in said.stdout, said.stdout
