# SPDX-License-Identifier: GPL-2.0-only
"""Who decides that other threads end: exit_group(), a fatal signal, an execve()."""

from __future__ import annotations

from typing import Iterator

from ...linux import mm as mm_, processors, relatives, signals, task
from ...linux.structs.exec import LinuxBinfmt
from ...linux.structs.mm_types import MmStruct
from ...linux.structs.sched import KernelSiginfo, TaskStruct
from ...sizes import counted
from ...target import kernel
from ...target.cstruct import Ptr
from ..engine import Tracer
from ..event import Call, Moment, Point
from .events import DumpingSignal, FatalSignal, Kills

MMF_DUMPABLE_MASK = 0x3  # include/linux/sched/coredump.h


class KillPoints:
    """The stops that tell of it."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def points(self) -> Iterator[Point]:
        """Where it stops."""
        yield Point(
            ("zap_other_threads",), "which threads are killed", self._kills_others
        )
        yield Point(
            ("complete_signal",),
            "which signal is fatal",
            self._sends,
            self._sent,
            optional=True,
            everyone=True,
        )
        yield Point(
            ("do_coredump", "vfs_coredump"),
            "which signal would dump core",
            self._dumps,
            optional=True,
        )

    def _kills_others(self, moment: Moment) -> None:
        """The thread that ends the process, or executes a program, is alone left."""
        threads = [tid for _, tid in relatives.other_threads(moment.task)]
        if not threads:
            return
        call, _ = relatives.system_call(moment.task.address)
        shared = relatives.signal_struct(moment.task.address)
        code = shared.group_exit_code
        # de_thread() does not set the flag
        if not shared.flags & relatives.SIGNAL_GROUP_EXIT:
            why = f"{call}(): the new program has one thread"
        elif call == "exit_group":
            why = f"exit_group({code >> 8}) ends the whole process"
        else:
            why = f"{signals.signal_name(code & 0x7F)} ends the whole process"
        event = Kills(
            what=why + _killed_text(threads),
            process=moment.task.tgid,
            threads=threads,
        )
        self.tracer.emit(moment, event)

    def _sends(self, moment: Moment) -> Ptr[TaskStruct] | None:
        target = moment.argument(1)
        flags = relatives.signal_struct(target).flags
        if flags & relatives.SIGNAL_GROUP_EXIT or not self._follows(target):
            return None
        return target

    def _sent(self, moment: Moment, call: Call) -> None:
        """A signal without a handler ends all threads, before any of them sees it."""
        target = call.note
        shared = relatives.signal_struct(target)
        if not shared.flags & relatives.SIGNAL_GROUP_EXIT:
            return
        found = task.task(target)
        why = f"{signals.signal_name(shared.group_exit_code & 0x7F)} is fatal for "
        why += f"process {found.tgid} ({found.comm})"
        threads = [
            relatives.task_struct(thread).pid
            for thread in task.for_each_thread(target)
            if not relatives.task_struct(thread).exit_state
        ]
        # A timer's signal is not the deed of whoever runs on the processor just now
        context = processors.preempt_count(moment.cpu).context
        if context != "process":
            why = f"in a {context} that interrupts {moment.task.comm}: {why}"
        event = FatalSignal(
            what=why + _killed_text(threads),
            context=context,
            process=found.tgid,
            threads=threads,
        )
        self.tracer.emit(moment, event)

    def _dumps(self, moment: Moment) -> None:
        """coredump_wait() kills the others; without it zap_other_threads() will."""
        signal = KernelSiginfo(kernel.memory(), moment.argument(0)).si_signo
        why, never = f"{signals.signal_name(signal)} is fatal, ", why_no_core(moment)
        others = []
        if never:
            why += f"and leaves no core dump: {never}"
        else:
            why += "and may leave a core dump"
            others = [tid for _, tid in relatives.other_threads(moment.task)]
        event = DumpingSignal(
            what=why + _killed_text(others),
            dumps=not never,
            process=moment.task.tgid,
            threads=others,
        )
        self.tracer.emit(moment, event)

    def _follows(self, address: Ptr[TaskStruct]) -> bool:
        return self.tracer.follow.wants(task.task(address))


def _killed_text(threads: list[int]) -> str:
    """Who gets SIGKILL with it, by tid."""
    if not threads:
        return ""
    numbers = ", ".join(map(str, threads))
    verb = "gets" if len(threads) == 1 else "get"
    return f": {counted(len(threads), 'thread')} {verb} SIGKILL: {numbers}"


def why_no_core(moment: Moment) -> str:
    """Why do_coredump() does not even begin, "" if it does. Raises memory.Fault."""
    guest = kernel.memory()
    mm = MmStruct(guest, moment.task.mm)
    if not mm.binfmt or not LinuxBinfmt(guest, Ptr(mm.binfmt)).core_dump:
        return "the kernel cannot write one for this kind of program"
    if not mm_.flags_of(mm) & MMF_DUMPABLE_MASK:
        return "the process is not to be read by others (PR_SET_DUMPABLE, set-user-ID)"
    return ""
