# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exec: begin_new_exec(), which has no way back, and the final stack.

See fs/exec.c and arch/x86/mm/mmap.c.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...linux import mm as mm_, relatives, task
from ...linux.elf_randomize import PF_RANDOMIZE
from ...linux.errno import to_int
from ...linux.structs.mm_types import MmStruct
from ...linux.structs.sched import TaskStruct
from ...sizes import counted, size_text
from ...target import kernel
from ...target.cstruct import Ptr
from ..event import Moment, Point
from . import binprm
from .events import LayoutChosen, OldProgramDropped, StackMade, StackMoved
from .state import Exec, Steps

EXECUTABLE_STACK = {  # include/linux/binfmts.h; PT_GNU_STACK asks for it
    0: "no PT_GNU_STACK says whether it may be executed",
    1: "PT_GNU_STACK forbids to execute it",
    2: "PT_GNU_STACK asks for an executable one",
}


class Old(NamedTuple):
    """The old program, when begin_new_exec() is entered."""

    mm: Ptr[MmStruct]  # 0 for the kernel's own exec
    areas: int
    others: int  # users of the mm besides the threads of this process
    tids: list[int]  # of the other threads that de_thread() kills
    comm: str
    pid: int


class After(Steps):
    """The steps from which there is no way back."""

    def points(self) -> list[Point]:
        point = self.execs.point
        return [
            point("begin_new_exec", "when the old program ends", self._old, self._new),
            point("setup_new_exec", "mmap_base", leave=self._picked),
            point(
                "shift_arg_pages",
                "the stack between its move and its growth",
                lambda exec_, moment: moment.argument(1),
                self._shifted,
                optional=True,
            ),
            point(
                "setup_arg_pages", "the final stack", self._before_stack, self._stack
            ),
        ]

    def _old(self, exec_: Exec, moment: Moment) -> Old:
        guest = kernel.memory()
        mm = moment.task.mm
        threads = [
            TaskStruct(guest, each)
            for each in task.for_each_thread(moment.task.address)
        ]
        others = [
            tid
            for thread, tid in relatives.other_threads(moment.task)
            if not relatives.is_exiting(thread)
        ]
        read = MmStruct(guest, mm) if mm else None
        users = read.mm_users - sum(each.mm == mm for each in threads) if read else 0
        areas = read.map_count if read else 0
        return Old(mm, areas, users, others, moment.task.comm, moment.task.pid)

    def _new(self, exec_: Exec, moment: Moment, old: Old) -> None:
        # bprm_creds_from_file() refuses before there is no way back
        exec_.gone = binprm.point_of_no_return(exec_.bprm)
        if exec_.failed(moment):
            return
        exec_.step = "dropping the old program"
        event = OldProgramDropped(
            what=f"no way back: {_left_behind(old, moment)}",
            changes=exec_.changed(moment),
            old_mm=old.mm,
            mm=moment.task.mm,
            areas=old.areas,
            users_left=old.others,
            killed=old.tids,
            old_tid=old.pid,
            old_comm=old.comm,
        )
        self.execs.tell(exec_, moment, event)

    def _picked(self, exec_: Exec, moment: Moment, note: Any) -> None:
        """arch_pick_mmap_layout() has chosen, for setup_new_exec()."""
        guest = kernel.memory()
        read = MmStruct(guest, moment.task.mm)
        randomized = bool(TaskStruct(guest, moment.task.address).flags & PF_RANDOMIZE)
        down = mm_.is_topdown(moment.task.mm)
        where = "around"
        if down is not None:
            where = "below" if down else "above"
        exec_.step = "choosing mmap_base"
        event = LayoutChosen(
            what=(
                f"mmap() will look for room {where} mmap_base, "
                f"{'a random place' if randomized else 'which is not random'}"
            ),
            changes=exec_.changed(moment),
            mmap_base=read.mmap_base,
            down=down,
            random=randomized,
        )
        self.execs.tell(exec_, moment, event)

    def _shifted(self, exec_: Exec, moment: Moment, shift: int) -> None:
        if exec_.failed(moment):
            return
        changed = exec_.changed(moment)
        read = binprm.read(exec_.bprm)
        stack = exec_.stack(read.p)
        exec_.shift = shift
        event = StackMoved(
            what=(
                f"the stack moves {exec_.shift:#x} down to its random top {stack.end:x}, "
                "page tables and all: no byte is copied"
            ),
            changes=changed,
            lines=exec_.drawing(),
            shift=exec_.shift,
            top=stack.end,
            p=read.p,
        )
        self.execs.tell(exec_, moment, event)

    def _before_stack(self, exec_: Exec, moment: Moment) -> tuple[int, int, int]:
        return moment.argument(1), moment.argument(2), binprm.read(exec_.bprm).exec

    def _stack(self, exec_: Exec, moment: Moment, note: tuple[int, int, int]) -> None:
        stack_top, executable, name = note
        if exec_.failed(moment):
            return
        changed = exec_.changed(moment)
        read = binprm.read(exec_.bprm)
        exec_.shift = name - read.exec
        stack = exec_.stack(read.p)
        exec_.step = "making the stack"
        asked = EXECUTABLE_STACK.get(to_int(executable), "")
        event = StackMade(
            what=f"the stack is {size_text(stack.size)} now, {stack.perms}: {asked}",
            changes=changed,
            lines=exec_.drawing(),
            stack_top=stack_top,
            shift=exec_.shift,
            start=stack.start,
            end=stack.end,
            perms=stack.perms,
            p=read.p,
        )
        self.execs.tell(exec_, moment, event)


def _left_behind(old: Old, moment: Moment) -> str:
    """What became of the old program."""
    if not old.mm:
        sentence = "there was no mm before"
    elif old.others:
        users = counted(old.others, "other user")
        sentence = (
            f"mm {old.mm:x} and its {counted(old.areas, 'area')} are left to {users}"
        )
    else:
        areas = counted(old.areas, "area")
        sentence = f"mm {old.mm:x} has no user any more, its {areas} are freed"
    sentence += f"; current->mm is {moment.task.mm:x}"
    if old.tids:
        sentence += f"; {counted(len(old.tids), 'other thread')} killed"
    if moment.task.pid != old.pid:
        sentence += f"; thread {old.pid} gets the id of the process, {moment.task.pid}"
    if moment.task.comm != old.comm:
        sentence += f"; {old.comm} is called {moment.task.comm} from now on"
    return sentence
