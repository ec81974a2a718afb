# SPDX-License-Identifier: GPL-2.0-only
"""All `lab` commands, in the order of `help lab`."""

from __future__ import annotations

from .base import Lab
from .processes import Ps
from .vmas import Vmas

COMMANDS = (
    Ps,
    Vmas,
)


def register() -> None:
    """Make the commands known to gdb."""
    Lab()
    for command in COMMANDS:
        command()
