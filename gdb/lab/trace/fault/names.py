# SPDX-License-Identifier: GPL-2.0-only
"""Names of what a page fault has to do with: the area, the instruction, the call.

While other threads change the address space a name may be unreadable. Then there is
none: a fault is not lost for that.
"""

from __future__ import annotations

from ...linux import mm as mm_, pgtable, task as task_, vma, vma as lookup
from ...linux.mm_changes import AreaData
from ...linux.structs.mm_types import MmStruct, VmAreaStruct
from ...linux.task import Task
from ...linux.vmflags import permissions
from ...printable import text_of
from ...programs.code import Code, syscall_of
from ...target.cstruct import Ptr
from ...target.memory import Broken, Fault
from .kinds import area_of
from .look import Access, Look


class Names:
    """Names for fault events, of all processes."""

    def __init__(self) -> None:
        self._code = Code()

    def inside(self, current: Task, access: Access) -> tuple[str, str]:
        """FUNCTION+OFFSET of the instruction, and the system call it was done for.

        The call is "" for an instruction of the program.
        """
        try:
            area = self._code_area(current, access) if access.from_user else None
            name = self._code.name(current, access.regs, area)
            return name, "" if access.from_user else syscall_of(current)
        except (Broken, Fault):
            return f"{access.regs.ip:#x}", ""

    def _code_area(self, current: Task, access: Access) -> VmAreaStruct | None:
        try:
            return lookup.vma_lookup(current.mm, access.regs.ip)
        except (Broken, Fault):
            return self._code.area(current, access.regs.ip)

    def where(self, current: Task, access: Access, before: Look, after: Look) -> str:
        """The area in a few words."""
        if access.address >= pgtable.USER_HALF:
            return "the kernel's half"
        area = area_of(before, after)
        if area is None:
            changing = before.is_changing or after.is_changing
            return "where areas are changing" if changing else "in no area"
        name = self._of_area(current.mm, area) or "anonymous"
        grows = "below " if access.address < area.vm_start else ""
        return f"{grows}{name} {permissions(area.vm_flags)}"

    def area_data(
        self, mm: Ptr[MmStruct], area: VmAreaStruct | None
    ) -> AreaData | None:
        """The area for a program."""
        if area is None:
            return None
        perms, name = permissions(area.vm_flags), self._of_area(mm, area)
        return AreaData(area.vm_start, area.vm_end, perms, name)

    def _of_area(self, mm: Ptr[MmStruct], area: VmAreaStruct) -> str:
        """Not kept: a struct file may be where that of another file was."""
        try:
            name = vma.vma_name(area, mm_.mm_struct(mm), task_.onlooker_root())
        except Fault:
            return ""
        return text_of(name)
