# SPDX-License-Identifier: GPL-2.0-only
"""Which function an instruction belongs to: the program's, or the kernel's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..linux import kallsyms, mm as mm_, registers, task as task_
from ..linux.maps import Places
from ..linux.structs.fs import Dentry, File, Inode
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..linux.structs.sched import TaskStruct
from ..linux.structs.x86 import PtRegs
from ..linux.task import Task
from ..target import kernel
from ..target.cstruct import Ptr
from .userelf import Modules

MOST = 32  # programs whose files are kept


@dataclass(frozen=True)
class Identity:
    """Tells a file from all others, also when its struct inode is used again."""

    inode: Ptr[Inode]
    dentry: Ptr[Dentry]
    number: int
    generation: int


@dataclass
class Program:
    """What was read of one program in one process."""

    modules: Modules | None = None
    files: dict[int, Identity | None] = field(default_factory=dict)  # by struct file *
    known: dict[tuple[Any, ...], str] = field(default_factory=dict)


class Code:
    """Names instructions of many processes, and keeps what it read of the last ones.

    A pointer alone identifies nothing: the kernel soon has another mm_struct, or another
    file, at the address of one that is gone.
    """

    def __init__(self) -> None:
        self._programs: dict[tuple[Any, ...], Program] = {}

    def name(self, current: Task, regs: PtRegs, area: VmAreaStruct | None) -> str:
        """FUNCTION+OFFSET, or FILE+OFFSET where no symbols are known.

        :param regs: of user mode or of the kernel
        :param area: the area that holds the instruction, None if there is none
        :raises Fault: the task or its areas cannot be read
        """
        if not registers.user_mode(regs):
            return kallsyms.sprint_symbol(regs.ip)
        if area is None:
            return f"{regs.ip:#x}"
        program, file = self._program(current), _file(area)
        key = file, area.vm_start, area.vm_pgoff, regs.ip
        if key not in program.known:
            modules = _modules(program, current.mm, area, file, regs.ip)
            program.known[key] = _in_program(modules, regs.ip)
        return program.known[key]

    def area(self, current: Task, ip: int) -> VmAreaStruct | None:
        """The area that holds an instruction, as last read; None if it is not known.

        Raises memory.Fault.
        """
        modules = self._program(current).modules
        return modules.places.find(ip) if modules else None

    def _program(self, current: Task) -> Program:
        executed = TaskStruct(kernel.memory(), current.address).self_exec_id
        key = current.mm, current.tgid, executed
        if key not in self._programs and len(self._programs) == MOST:
            del self._programs[next(iter(self._programs))]
        return self._programs.setdefault(key, Program())


def _file(area: VmAreaStruct) -> Identity | None:
    """The identity of an area's file, None if it has none."""
    if not area.vm_file:
        return None
    file = File(kernel.memory(), area.vm_file)
    inode = Inode(kernel.memory(), file.f_inode)
    return Identity(file.f_inode, file.f_path_dentry, inode.i_ino, inode.i_generation)


def _modules(
    program: Program,
    mm: Ptr[MmStruct],
    area: VmAreaStruct,
    file: Identity | None,
    ip: int,
) -> Modules:
    """The files of a process; its areas are read again when this one is new."""
    known = program.modules
    is_same = program.files.setdefault(area.vm_file, file) == file
    if known is None or known.places.find(ip) != area or not is_same:
        where = Places(mm, task_.onlooker_root())
        known = program.modules = Modules(
            where, lambda at, size: mm_.access_process_vm(mm, at, size), ""
        )
        program.files = {area.vm_file: file}
    return known


def _in_program(modules: Modules, ip: int) -> str:
    module = modules.at(ip)
    found = module and module.file.symbol(ip - module.bias)
    return f"{found[0]}+{found[1]:#x}" if found else modules.places.text(ip)


def syscall_of(current: Task) -> str:
    """The name of the system call a task is in, "" if it is in none.

    Raises memory.Fault.
    """
    place = registers.task_pt_regs(current.address)
    if not place:
        return ""
    number = registers.syscall_get_nr(registers.pt_regs(place))
    return registers.syscall_name(number)
