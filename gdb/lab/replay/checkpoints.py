# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of a replay: snapshots of QEMU that make going back quick."""

from __future__ import annotations

import re

import gdb

from ..target import terminal
from .monitor import monitor

# A checkpoint takes as long as a few million instructions, and 20 to 40 MB of disk.
NEAR = 200_000  # instructions; none is made so close after another
MOST = 200
MOST_MIB = 2048  # of disk, for all of them together
START = "start"  # the name of the first: see set_machine in scripts/machine.sh


class Checkpoints:
    """The checkpoints of this QEMU, by the instruction at which they were made."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.full = False
        self._list()

    def __len__(self) -> int:
        return len(self.names)

    def _list(self) -> int:
        """Ask QEMU which there are; returns their size in MiB."""
        size = 0.0
        for line in monitor("info snapshots").splitlines():
            found = re.match(r"\S+ +(\S+) +([\d.]+) (\S+) .* (\d+)\s*$", line)
            if found:
                self.names[int(found[4])] = found[1]
                scale = {"KiB": 1 / 1024, "MiB": 1, "GiB": 1024}
                size += float(found[2]) * scale.get(found[3], 0)
        return int(size)

    @property
    def first(self) -> int:
        """Where the earliest is: there is no going back further."""
        return min(self.names, default=0)

    def before(self, count: int) -> int | None:
        """The last one before an instruction; at the first one, that one itself."""
        first = self.first
        earlier = [
            made for made in self.names if made < count or made == count == first
        ]
        return max(earlier, default=None)

    def is_near(self, count: int) -> bool:
        """Is there one at an instruction, or close enough before to be as quick?"""
        return any(count - NEAR < made <= count for made in self.names)

    def begin(self, now: int) -> None:
        """Start the recording here: make a checkpoint, and delete all before it."""
        monitor(f"savevm {START}")
        for name in self.names.values():
            monitor(f"delvm {name}")
        self.names.clear()
        self._list()
        if self.names != {now: START}:
            raise gdb.GdbError("QEMU made no checkpoint at the start")

    def make(self, now: int) -> bool:
        """Make one here unless one is near; returns whether one is here or near now."""
        if self.is_near(now):
            return True
        if self.full:
            return False
        answer = monitor(f"savevm at-{now}").strip()
        size = self._list()
        if answer and now not in self.names:
            # QEMU makes none while a device's event waits; the next try comes soon
            if "try once more" not in answer.lower():
                self._fill(f"QEMU made no checkpoint ({answer})")
        elif len(self.names) >= MOST or size >= MOST_MIB:
            self._fill(f"there are {len(self.names)} checkpoints of {size} MiB")
        return now in self.names

    def _fill(self, reason: str) -> None:
        self.full = True
        terminal.write(
            f"replay: {reason}, no more are made: going back takes longer.\n"
        )
