# SPDX-License-Identifier: GPL-2.0-only
"""Which processes a timeline follows: some, and all that they start."""

from __future__ import annotations

import os

from ..linux import configs
from ..linux.structs.exec import LinuxBinprm
from ..linux.structs.sched import TaskStruct
from ..linux.task import PF_KTHREAD, Task
from ..target import kernel
from ..target.cstruct import Ptr

MOST_NAMED = 5
LAB_PROGRAM = "the lab's program"  # known when the kernel has its command line


class Follow:
    """The followed processes, by thread group id.

    With a program's name nobody is followed before somebody executes it. Who tries to
    is followed, too, until the exec fails.
    """

    def __init__(
        self,
        tgids: set[int] | None = None,
        program: str = "",
        everyone: bool = False,
        comm: str = "",
        there: list[str] | None = None,
    ) -> None:
        self.tgids = set(tgids or ())
        self.program = program
        self.everyone = everyone
        self.comm = comm  # of the process that was there
        self.there = there or []  # its children that were, too, by name and number
        self._had = bool(tgids)
        self._trying: dict[int, int] = {}  # thread group ids by struct task_struct *

    def __str__(self) -> str:
        if self.everyone:
            return "every process"
        if self.program:
            return f"{self.program} and what it starts"
        pids = ", ".join(map(str, sorted(self.tgids)))
        name = f" ({self.comm})" if self.comm else ""
        return f"process {pids}{name} and what it starts"

    @property
    def left_out(self) -> list[str]:
        """A sentence on who one might think is followed."""
        if not self.there:
            return []
        names = ", ".join(self.there[:MOST_NAMED])
        more = f" and {len(self.there) - MOST_NAMED} more"
        names += more * (len(self.there) > MOST_NAMED)
        return [f"Not followed, since it was there before: {names}."]

    @property
    def is_waiting(self) -> bool:
        """Has nobody executed the program so far, and does nobody try to?"""
        return bool(self.program) and not (self._had or self._trying)

    @property
    def all_have_ended(self) -> bool:
        """Was somebody followed, and is no more?"""
        left = self.tgids or self._trying or self.everyone
        return self._had and not left

    def wants(self, current: Task) -> bool:
        """Is this task followed?"""
        if self.everyone:
            flags = TaskStruct(kernel.memory(), current.address).flags
            return not flags & PF_KTHREAD
        return current.tgid in self.tgids or current.tgid in self._trying.values()

    def executes(self, current: Task, bprm: Ptr[LinuxBinprm]) -> None:
        """A task is about to execute a file: struct linux_binprm *."""
        if not self.program or current.tgid in self.tgids:
            return
        wanted = lab_program() if self.program == LAB_PROGRAM else self.program
        guest = kernel.memory()
        name = guest.read_string(LinuxBinprm(guest, bprm).filename)
        if os.fsencode(wanted) in (name, os.path.basename(name)):
            self._trying[current.address] = current.tgid

    def executed(self, current: Task, bprm: Ptr[LinuxBinprm]) -> None:
        """A task is done with a struct linux_binprm *, whether it went well or not.

        What fails after exec_mmap() took bprm->mm is the new program's end.
        """
        tgid = self._trying.pop(current.address, None)
        if tgid is not None and not LinuxBinprm(kernel.memory(), bprm).mm:
            self._add(tgid)

    def starts(self, current: Task, child: Ptr[TaskStruct]) -> None:
        """A task has made another one: struct task_struct *."""
        if not self.everyone and current.tgid in self.tgids:
            self._add(TaskStruct(kernel.memory(), child).tgid)

    def process_of(self, address: Ptr[TaskStruct]) -> tuple[int, bool] | None:
        """The followed process of a task, and whether the task is its leader.

        None if its process is not followed. Raises memory.Fault.
        """
        found = TaskStruct(kernel.memory(), address)
        if found.tgid not in self.tgids:
            return None
        return found.tgid, found.pid == found.tgid

    def forget(self, tgid: int) -> None:
        """The kernel has forgotten a process."""
        self.tgids.discard(tgid)

    def _add(self, tgid: int) -> None:
        self.tgids.add(tgid)
        self._had = True


def lab_program() -> str:
    """The path of the program that the guest was started for, "" for none.

    lab.run= on the kernel's command line, see initramfs/init. Raises memory.Fault.
    """
    for word in configs.command_line(kernel.memory().read).split():
        name, _, value = word.partition("=")
        if name == "lab.run" and value:
            return value if "/" in value else f"/bin/{value}"
    return ""
