# SPDX-License-Identifier: GPL-2.0-only
"""What `layout lab` shows: an address space, what points into it, what changed.

Everything is read once a stop and handed to the view as one Picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Sequence

import gdb

from ..linux import (
    boundaries,
    entry,
    kallsyms,
    mm_changes as changes,
    processors,
    registers,
    segments,
    task,
)
from ..linux.mm_changes import Change, Piece, Snapshot
from ..linux.processors import Processor
from ..linux.segments import Segment
from ..linux.structs.mm_types import MmStruct
from ..linux.structs.sched import TaskStruct
from ..linux.task import PF_KTHREAD
from ..target import fits, kernel, unforeseen
from ..target.cstruct import Ptr
from ..target.debugger import Missing, Refused
from ..target.memory import Broken, Fault
from .pointers import Pointer, Pointers

SHOWN = (
    *("start_code", "end_code", "start_data", "end_data", "start_brk", "brk"),
    *("start_stack", "mmap_base"),
)
MOST = 8  # address spaces whose last stop is remembered
NOT_BOOTED = "The kernel does not run yet: continue to a breakpoint in it first."
UNUSED = "The kernel does not use this processor yet: select another, or continue."
INTERRUPTED = "Interrupted while reading: the next stop reads it anew."


class Note(NamedTuple):
    """Something that lies at an address: a boundary of the mm, or what points there."""

    address: int
    name: str
    start: int | None  # of the area it belongs to, None in a gap


@dataclass(frozen=True)
class Picture:
    """What there is to see at one stop."""

    who: str = ""  # the task in two words
    doing: str = ""  # its processor, and what it does there
    remark: str = ""  # why the kernel's half is shown
    pointers: tuple[Pointer, ...] = ()
    rows: Sequence[Piece | Segment] = ()  # areas, or what the kernel's half has
    notes: tuple[Note, ...] = ()  # low to high
    changes: tuple[Change, ...] | None = None  # None: nothing to compare with
    trouble: str = ""  # why there is nothing, or less, to see


class History:
    """Each address space as it was at the stop before."""

    def __init__(self) -> None:
        self.stop = 0  # how many there were
        self._seen: dict[tuple, tuple[int, Snapshot, Snapshot | None]] = {}

    def compare(self, process: tuple, now: Snapshot) -> tuple[Change, ...] | None:
        """What changed since the last stop at which this process was seen.

        None the first time. Seen again at the same stop, it is compared with the
        same moment as before.
        """
        stop, last, before = self._seen.pop(process, (self.stop, now, None))
        if stop < self.stop:
            before = last
        self._seen[process] = self.stop, now, before
        if len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]
        if before is None:
            return None
        return changes.changes(before, now) if before != now else ()


def look(history: History) -> Picture:
    """Read what there is to see now. What goes wrong is said in the picture."""
    try:
        fits.check_symbols()
        kernel.memory()
        kernel.refresh()
        if not fits.check_running():
            return Picture(trouble=NOT_BOOTED)
        processor = processors.this_processor()
        if not processor.current:
            return Picture(trouble=UNUSED)
        return _look(processor, history)
    except (gdb.error, Refused, Fault, Broken, Missing) as problem:
        return Picture(trouble=sentence(problem))
    except KeyboardInterrupt:
        return Picture(trouble=INTERRUPTED)
    except Exception as mistake:
        return Picture(trouble=unforeseen.sentence("layout lab", mistake))


def sentence(problem: BaseException) -> str:
    """A problem as one sentence."""
    said = " ".join(str(problem).split())
    if isinstance(problem, KeyError):
        said = f"this kernel has no {problem}"
    said = said[:1].upper() + said[1:]
    return said if said.endswith(".") else f"{said}."


def _look(processor: Processor, history: History) -> Picture:
    current = task.task(processor.current)
    who = f"{current.comm} {current.pid}"
    doing = f"CPU {processor.cpu}, {_doing(processor)}"
    if not current.mm:
        return Picture(
            who=who,
            doing=doing,
            remark=_why_none(processor.current),
            pointers=tuple(Pointers(processor, ()).all()),
            rows=[one for one in segments.kernel_half() if not one.is_gap],
        )
    trouble = ""
    try:
        now = changes.snapshot(current.mm, task.onlooker_root())
        found = history.compare((current.mm, current.tgid), now)
    except (Broken, Fault) as problem:  # what points into the kernel is still known
        now, found, trouble = Snapshot(current.mm, (), {}), None, sentence(problem)
    pointers = Pointers(processor, now.pieces).all()
    notes = [] if trouble else _boundaries(current.mm) + _targets(pointers)
    return Picture(
        who=who,
        doing=doing,
        pointers=tuple(pointers),
        rows=now.pieces,
        notes=tuple(sorted(notes, key=lambda note: note.address)),
        changes=found,
        trouble=trouble,
    )


def _doing(processor: Processor) -> str:
    """What a task does, by the registers it has saved."""
    if processor.in_user_mode:
        return "user mode"
    if kallsyms.in_entry_text(processor.ip):
        return "entry code"
    if task.task(processor.current).pid == entry.IDLE_PID:
        return "idle"
    found = registers.of_user_mode(processor.current, processor)
    if found is None:
        return "kernel thread"
    number = registers.syscall_get_nr(found[0])
    if number < 0:
        return "interrupt or exception"
    return entry.syscall_text(number)


def _why_none(address: Ptr[TaskStruct]) -> str:
    """Why a task has no address space."""
    read = task.task(address)
    who = f"{read.comm} {read.pid}"
    if TaskStruct(kernel.memory(), address).flags & PF_KTHREAD:
        what = "the idle task" if read.pid == entry.IDLE_PID else "a kernel thread"
        why = f"{who} is {what}: it has no address space of its own."
    else:
        why = f"{who} is exiting: it has given up its address space."
    return f"{why} This is the kernel's half."


def _boundaries(mm: Ptr[MmStruct]) -> list[Note]:
    """The boundaries that tell code, data, heap, stack and mapped areas apart."""
    return [
        Note(one.address, one.name, one.start if one.vma else None)
        for one in boundaries.boundaries(mm)
        if one.name in SHOWN
    ]


def _targets(pointers: list[Pointer]) -> list[Note]:
    """What points into an area."""
    return [
        Note(one.address, one.name, one.area.start)
        for one in pointers
        if one.address is not None and one.area is not None
    ]
