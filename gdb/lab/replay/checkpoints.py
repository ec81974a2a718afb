# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of a replay: snapshots of QEMU from which going back is quick."""

from __future__ import annotations

import re

import gdb

from ..target import terminal
from .monitor import monitor

# A checkpoint takes as long as some million instructions, and 20 to 40 MB of disk.
NEAR = 200_000  # instructions; with one so close before, none is made
MOST = 200
MOST_MIB = 2048  # of disk for all of them
START = "start"  # the name of the first one: see set_machine in scripts/machine.sh


class Checkpoints:
    """All of this QEMU, by the instruction at which they were made."""

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
        """Where the earliest one is: nobody can go back further."""
        return min(self.names, default=0)

    def before(self, count: int) -> int | None:
        """The last one in front of an instruction; the first one also at it."""
        first = self.first
        earlier = [one for one in self.names if one < count or one == count == first]
        return max(earlier, default=None)

    def is_near(self, count: int) -> bool:
        """Is there one at an instruction, or so closely before that it is as quick?"""
        return any(count - NEAR < one <= count for one in self.names)

    def begin(self, now: int) -> None:
        """Here everything is to start: with a checkpoint, and without any before."""
        monitor(f"savevm {START}")
        for name in self.names.values():
            monitor(f"delvm {name}")
        self.names.clear()
        self._list()
        if self.names != {now: START}:
            raise gdb.GdbError("QEMU made no checkpoint at the start")

    def make(self, now: int) -> bool:
        """Make one here, if none is near; returns whether one is there now."""
        if self.is_near(now):
            return True
        if self.full:
            return False
        said = monitor(f"savevm at-{now}").strip()
        size = self._list()
        if said and now not in self.names:
            # QEMU makes none while a device's event waits; one comes a little later
            if "try once more" not in said.lower():
                self._fill(f"QEMU made no checkpoint ({said})")
        elif len(self.names) >= MOST or size >= MOST_MIB:
            self._fill(f"there are {len(self.names)} checkpoints of {size} MiB")
        return now in self.names

    def _fill(self, reason: str) -> None:
        self.full = True
        terminal.write(
            f"replay: {reason}, no more are made: going back takes longer.\n"
        )
