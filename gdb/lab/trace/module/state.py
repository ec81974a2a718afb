# SPDX-License-Identifier: GPL-2.0-only
"""What lab trace module knows: loads under way, and whose memory is where."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ...linux import kallsyms, load_info, module
from ...linux.structs.lib import LoadInfo, Module
from ...sizes import counted
from ...target import structs
from ...target.cstruct import NULL, Ptr
from .events import MemoryPiece

MOST_IN_LINE = 8  # names


@dataclass
class Load:
    """A load_module() under way."""

    info: Ptr[LoadInfo]
    name: str
    last_message: int  # the log's sequence number
    where: str = "setup_load_info"  # the function that fails, if nothing follows
    module: Ptr[Module] = NULL  # where it will stay, 0 before it is known
    sections: list[load_info.FileSection] = field(default_factory=list)
    relocated: list[load_info.Relocations] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class Ledger:
    """What the parts of the timeline have in common."""

    def __init__(self) -> None:
        self.loads: dict[int, Load] = {}  # by struct task_struct *
        self.memory: dict[int, tuple[str, MemoryPiece]] = {}  # by address: whose
        self.counts: dict[str, Counter[str]] = {}  # by module

    def count(self, name: str, what: str, by: int = 1) -> None:
        """Count something of a module for the summary."""
        self.counts.setdefault(name, Counter())[what] += by

    def note_memory(self, own: Module) -> list[MemoryPiece]:
        """Remember whose memory it is: when it is given back, nobody else knows."""
        memory = [
            MemoryPiece(piece.what, piece.start, piece.size)
            for piece in module.pieces_of(own)
        ]
        name = module.name_of(own)
        for piece in memory:
            if piece.start not in self.memory:
                self.count(name, "memory", piece.size)
            self.memory[piece.start] = name, piece
        return memory


def names_text(names: list[str], most: int = MOST_IN_LINE) -> str:
    """Some names in one line."""
    more = f" and {len(names) - most} more" * (len(names) > most)
    return ", ".join(names[:most]) + more


def references_text(count: int | None) -> str:
    """A count of references; None where no module can be unloaded."""
    return "never to be unloaded" if count is None else counted(count, "reference")


def state_name(number: int) -> str:
    """COMING, LIVE, GOING: enum module_state."""
    names = structs.enumerators("enum module_state").items()
    found = next((name for name, value in names if value == number), str(number))
    return found.removeprefix("MODULE_STATE_")


def function_at(address: int) -> str:
    """The name of a module's function, without the module's."""
    return (kallsyms.symbol_name(address) or f"{address:#x}").split(" ")[0]
