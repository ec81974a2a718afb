# SPDX-License-Identifier: GPL-2.0-only
"""Which function an instruction belongs to: the program's, or the kernel's."""

from __future__ import annotations

from .. import mm as mm_, registers, symbols, task as task_
from ..places import Places
from ..registers import Registers
from ..task import Task
from ..userelf import Modules


class Code:
    """Names instructions of many processes; what it read is kept."""

    def __init__(self) -> None:
        self._modules: dict[int, Modules] = {}  # by struct mm_struct *
        self._known: dict[tuple, str] = {}

    def name(self, current: Task, regs: Registers, area: tuple | None) -> str:
        """FUNCTION+OFFSET, or FILE+OFFSET where no symbols are known.

        Parameters: current, registers of user mode or of the kernel, and the area
        of the instruction, None if it is in none. Raises memory.Fault.
        """
        if not registers.user_mode(regs):
            return symbols.sprint_symbol(regs.ip).partition("/")[0]
        if area is None:
            return f"{regs.ip:#x}"
        key = (current.mm, area.vm_file, area.vm_start, regs.ip)
        if key not in self._known:
            self._known[key] = self._in_program(current.mm, area, regs.ip)
        return self._known[key]

    def area(self, mm: int, ip: int) -> tuple | None:
        """The area of an instruction as it was when last read, None if unknown."""
        known = self._modules.get(mm)
        return known.places.find(ip) if known else None

    def _in_program(self, mm: int, area: tuple, ip: int) -> str:
        modules = self._modules_of(mm, area, ip)
        module = modules.at(ip)
        found = module and module.file.symbol(ip - module.bias)
        return f"{found[0]}+{found[1]:#x}" if found else modules.places.text(ip)

    def _modules_of(self, mm: int, area: tuple, ip: int) -> Modules:
        """The files of a process; its areas are read again when this one is new."""
        known = self._modules.get(mm)
        if known is None or known.places.find(ip) != area:
            where = Places(mm, task_.onlooker_root())
            known = self._modules[mm] = Modules(
                where, lambda at, size: mm_.access_process_vm(mm, at, size), ""
            )
        return known


def syscall_of(current: Task) -> str:
    """The name of the system call a task is in, "" if it is in none.

    Raises memory.Fault.
    """
    place = registers.task_pt_regs(current.address)
    if not place:
        return ""
    number = registers.syscall_get_nr(registers.pt_regs(place))
    return registers.syscall_name(number)
