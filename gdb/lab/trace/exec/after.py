# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exec: begin_new_exec(), which has no way back, and the final stack.

See fs/exec.c and arch/x86/mm/mmap.c.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...linux import mm as mm_, relatives, task
from ...linux.errno import to_int
from ...linux.structs.mm_types import MmStruct
from ...linux.structs.sched import TaskStruct
from ...sizes import counted, size_text
from ...target import kernel
from ...target.cstruct import Ptr
from ..event import Moment, Point
from . import binprm
from .state import Exec, Steps

PF_RANDOMIZE = 0x40_0000  # include/linux/sched.h
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
                lambda one, moment: moment.argument(1),
                self._shifted,
                optional=True,
            ),
            point(
                "setup_arg_pages", "the final stack", self._before_stack, self._stack
            ),
        ]

    def _old(self, one: Exec, moment: Moment) -> Old:
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

    def _new(self, one: Exec, moment: Moment, old: Old) -> None:
        # bprm_creds_from_file() refuses before there is no way back
        one.gone = binprm.point_of_no_return(one.bprm)
        if one.failed(moment):
            return
        one.step = "dropping the old program"
        self.execs.tell(
            one,
            moment,
            f"no way back: {_left_behind(old, moment)}",
            one.changed(moment),
            step="begin",
            old_mm=old.mm,
            mm=moment.task.mm,
            areas=old.areas,
            users_left=old.others,
            killed=old.tids,
            old_tid=old.pid,
            old_comm=old.comm,
        )

    def _picked(self, one: Exec, moment: Moment, note: Any) -> None:
        """arch_pick_mmap_layout() has chosen, for setup_new_exec()."""
        guest = kernel.memory()
        read = MmStruct(guest, moment.task.mm)
        randomized = bool(TaskStruct(guest, moment.task.address).flags & PF_RANDOMIZE)
        down = mm_.is_topdown(moment.task.mm)
        where = "around"
        if down is not None:
            where = "below" if down else "above"
        one.step = "choosing mmap_base"
        self.execs.tell(
            one,
            moment,
            f"mmap() will look for room {where} mmap_base, "
            f"{'a random place' if randomized else 'which is not random'}",
            one.changed(moment),
            step="layout",
            mmap_base=read.mmap_base,
            down=down,
            random=randomized,
        )

    def _shifted(self, one: Exec, moment: Moment, shift: int) -> None:
        if one.failed(moment):
            return
        changed = one.changed(moment)
        read = binprm.read(one.bprm)
        stack = one.stack(read.p)
        one.shift = shift
        self.execs.tell(
            one,
            moment,
            f"the stack moves {one.shift:#x} down to its random top {stack.end:x}, "
            "page tables and all: no byte is copied",
            changed,
            one.drawing(),
            step="move",
            shift=one.shift,
            top=stack.end,
            p=read.p,
        )

    def _before_stack(self, one: Exec, moment: Moment) -> tuple[int, int, int]:
        return moment.argument(1), moment.argument(2), binprm.read(one.bprm).exec

    def _stack(self, one: Exec, moment: Moment, note: tuple[int, int, int]) -> None:
        stack_top, executable, name = note
        if one.failed(moment):
            return
        changed = one.changed(moment)
        read = binprm.read(one.bprm)
        one.shift = name - read.exec
        stack = one.stack(read.p)
        one.step = "making the stack"
        asked = EXECUTABLE_STACK.get(to_int(executable), "")
        self.execs.tell(
            one,
            moment,
            f"the stack is {size_text(stack.size)} now, {stack.perms}: {asked}",
            changed,
            one.drawing(),
            step="stack",
            stack_top=stack_top,
            shift=one.shift,
            start=stack.start,
            end=stack.end,
            perms=stack.perms,
            p=read.p,
        )


def _left_behind(old: Old, moment: Moment) -> str:
    """What became of the old program."""
    if not old.mm:
        said = "there was no mm before"
    elif old.others:
        users = counted(old.others, "other user")
        said = f"mm {old.mm:x} and its {counted(old.areas, 'area')} are left to {users}"
    else:
        areas = counted(old.areas, "area")
        said = f"mm {old.mm:x} has no user any more, its {areas} are freed"
    said += f"; current->mm is {moment.task.mm:x}"
    if old.tids:
        said += f"; {counted(len(old.tids), 'other thread')} killed"
    if moment.task.pid != old.pid:
        said += f"; thread {old.pid} gets the id of the process, {moment.task.pid}"
    if moment.task.comm != old.comm:
        said += f"; {old.comm} is called {moment.task.comm} from now on"
    return said
