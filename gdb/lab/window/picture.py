# SPDX-License-Identifier: GPL-2.0-only
"""What `layout lab` shows: an address space, what points into it, what changed.

All is read once per stop and passed to the view as one Picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Sequence

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
MOST = 8  # address spaces that History remembers
UNUSED = "The kernel does not use this processor yet: select another, or continue."
INTERRUPTED = "Interrupted while reading: the next stop reads it anew."


class Note(NamedTuple):
    """A note on a user address: a boundary of the mm, or a pointer to it."""

    address: int
    name: str
    start: int | None  # of the area that holds it, None in a gap


@dataclass(frozen=True)
class Picture:
    """What there is to see at one stop."""

    who: str = ""  # COMM PID
    doing: str = ""  # its CPU, and what it does there
    remark: str = ""  # why the kernel's half is shown
    pointers: tuple[Pointer, ...] = ()
    rows: Sequence[Piece | Segment] = ()  # areas, or regions of the kernel's half
    notes: tuple[Note, ...] = ()  # low to high
    changes: tuple[Change, ...] | None = None  # None at the first stop
    trouble: str = ""  # why all or a part is missing


class History:
    """Each address space at the last two stops at which it was seen."""

    def __init__(self) -> None:
        self.stop = 0  # counts them
        self._seen: dict[tuple[Any, ...], tuple[int, Snapshot, Snapshot | None]] = {}

    def compare(
        self, process: tuple[Any, ...], now: Snapshot
    ) -> tuple[Change, ...] | None:
        """What changed since an earlier stop at which this process was seen.

        None the first time. Again at the same stop, the comparison is the same.
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
    """Read the state of this stop. What goes wrong becomes a sentence in the picture."""
    try:
        fits.check_symbols()
        kernel.memory()
        kernel.refresh()
        if not fits.check_running():
            return Picture(trouble=fits.NOT_BOOTED)
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
    text = " ".join(str(problem).split())
    if isinstance(problem, KeyError):
        text = f"this kernel has no {problem}"
    text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def _look(processor: Processor, history: History) -> Picture:
    current = task.task(processor.current)
    who = f"{current.comm} {current.pid}"
    doing = f"CPU {processor.cpu}, {_doing(processor)}"
    if not current.mm:
        return Picture(
            who=who,
            doing=doing,
            remark=_why_none(Ptr(processor.current)),
            pointers=tuple(Pointers(processor, ()).all()),
            rows=[region for region in segments.kernel_half() if not region.is_gap],
        )
    trouble = ""
    try:
        now = changes.snapshot(current.mm, task.onlooker_root())
        found = history.compare((current.mm, current.tgid), now)
    except (Broken, Fault) as problem:  # pointers into the kernel are still known
        now, found, trouble = Snapshot(current.mm, (), {}), None, sentence(problem)
    pointers = Pointers(processor, now.pieces).all()
    notes = [] if trouble else _boundaries(Ptr(current.mm)) + _targets(pointers)
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
    """What a CPU does, by the registers that its task saved at kernel entry."""
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
    """Why a task has no address space, as sentences."""
    read = task.task(address)
    who = f"{read.comm} {read.pid}"
    if TaskStruct(kernel.memory(), address).flags & PF_KTHREAD:
        what = "the idle task" if read.pid == entry.IDLE_PID else "a kernel thread"
        why = f"{who} is {what}: it has no address space of its own."
    else:
        why = f"{who} is exiting: it has given up its address space."
    return f"{why} This is the kernel's half."


def _boundaries(mm: Ptr[MmStruct]) -> list[Note]:
    """The boundaries between code, data, heap, stack and mapped areas."""
    return [
        Note(found.address, found.name, found.start if found.vma else None)
        for found in boundaries.boundaries(mm)
        if found.name in SHOWN
    ]


def _targets(pointers: list[Pointer]) -> list[Note]:
    """The pointers into areas."""
    return [
        Note(pointer.address, pointer.name, pointer.area.start)
        for pointer in pointers
        if pointer.address is not None and pointer.area is not None
    ]
