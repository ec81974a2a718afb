# SPDX-License-Identifier: GPL-2.0-only
"""A machine known from files alone: its RAM or a core file, and vmlinux. No gdb.

    use(core("core", "vmlinux"))
    for process in for_each_process(): ...
"""

from __future__ import annotations

from . import placement
from .core_file import BadElf, CoreFile, Unfit, open_core
from .debugger import Argument, Caller, Instruction, Line, Refused
from .drgn_symbols import DrgnSymbols
from .memory import Memory
from .physical import Block, Mapped
from .ram_file import RamFile
from .symbols import Missing, Symbols
from .types import CType


def core(path: str, vmlinux: str) -> FilesDebugger:
    """A core file of a whole guest. Raises Refused."""
    try:
        opened: CoreFile = open_core(path)
    except (BadElf, Unfit, OSError) as why:
        raise Refused(f"{path} cannot be opened: {why}.") from None
    return FilesDebugger(vmlinux, DrgnSymbols(vmlinux), opened.ram, opened.registers)


def ram(path: str, vmlinux: str) -> FilesDebugger:
    """The RAM file of a guest whose RAM is in one piece from address 0. Raises Refused.

    There are no registers. The guest must be stopped.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
        image = RamFile(path, [Block(0, size, 0)])
    except (OSError, ValueError) as why:
        raise Refused(f"{path} cannot be opened: {why}.") from None
    return FilesDebugger(vmlinux, DrgnSymbols(vmlinux), image)


class FilesDebugger:
    """See Debugger. A processor is a thread, numbered from 1."""

    def __init__(
        self,
        vmlinux: str,
        symbols: Symbols,
        image: Mapped,
        registers: tuple[dict[str, int], ...] = (),
    ) -> None:
        self.is_connected = True
        self.vmlinux = vmlinux
        self._symbols = symbols
        self._image = image
        self._registers = registers
        self._guest: Memory | None = None

    # --- The machine -----------------------------------------------------------

    def physical(self) -> Mapped:
        """See Debugger."""
        return self._image

    def read_memory(self, address: int, size: int) -> bytes:
        """See Debugger. The kernel must not have been moved."""
        if self._guest is None:
            self._guest = Memory(self._image)
            placement.place(self._guest, placement.default())
        return self._guest.read(address, size)

    def threads(self) -> list[int]:
        """See Debugger."""
        return list(range(1, len(self._registers) + 1))

    def selected_thread(self) -> int:
        """See Debugger: the first."""
        return 1

    def register(self, name: str) -> int:
        """See Debugger."""
        return self.registers(self.selected_thread(), (name,))[name]

    def registers(self, thread: int, names: tuple[str, ...]) -> dict[str, int]:
        """See Debugger. A core file has no k_gs_base, which is 0 here."""
        try:
            known = {"k_gs_base": 0} | self._registers[thread - 1]
            return {name: known[name] for name in names}
        except (IndexError, KeyError):
            raise Missing(f"{self._image.name} has no such register") from None

    def caller(self, thread: int) -> Caller | None:
        """See Debugger: not known here."""
        return None

    def say(self, remark: str) -> None:
        """See Debugger: there is nobody to tell."""

    # --- Symbols and types -------------------------------------------------------

    def lookup_type(self, name: str) -> CType:
        """See Symbols."""
        return self._symbols.lookup_type(name)

    def address_of(self, symbol: str) -> int:
        """See Symbols."""
        return self._symbols.address_of(symbol)

    def variable_size(self, symbol: str) -> int:
        """See Symbols."""
        return self._symbols.variable_size(symbol)

    def constant(self, name: str) -> int:
        """See Symbols."""
        return self._symbols.constant(name)

    def evaluate(self, expression: str) -> int:
        """See Debugger: a number, or the address of a symbol."""
        try:
            return int(expression, 0) % (1 << 64)
        except ValueError:
            pass
        try:
            return self.address_of(expression)
        except Missing as missing:
            raise Refused(str(missing)) from None

    def line_of(self, address: int) -> Line:
        """See Debugger: not known here."""
        return Line("", 0, "")

    def symbol_at(self, address: int) -> str:
        """See Debugger: not known here."""
        return ""

    def arguments_of(self, function: str) -> list[Argument]:
        """See Debugger: not known here."""
        return []

    def instructions(self, function: str) -> list[Instruction]:
        """See Debugger."""
        raise Missing("nobody disassembles here")
