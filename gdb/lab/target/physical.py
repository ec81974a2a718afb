# SPDX-License-Identifier: GPL-2.0-only
"""Guest-physical memory, wherever its bytes are."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Block:
    """A run of guest-physical addresses and where it starts in a file."""

    start: int
    end: int
    offset: int


class Physical(Protocol):
    """Guest-physical memory."""

    name: str

    def locate(self, address: int, size: int) -> tuple[bytes | mmap.mmap, int]:
        """A buffer and the offset in it of [address, address + size).

        Raises memory.Fault unless there is RAM behind the whole range.
        """


class Mapped(Physical, Protocol):
    """Guest-physical memory in a file that is mapped: a RAM file, a core file."""

    blocks: list[Block]
    ram: mmap.mmap
