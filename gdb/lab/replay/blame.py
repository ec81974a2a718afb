# SPDX-License-Identifier: GPL-2.0-only
"""Which instruction changed a byte last? Found by executing a replay backwards.

gdb's own watchpoints also work backwards, but QEMU then says neither which of them stopped
it nor whether the memory was touched at all: QEMU 7.2 also stops after an unaligned store
further up in the same page. Here the byte is read on both sides of each stop.
"""

from __future__ import annotations

from dataclasses import dataclass

import gdb

from ..linux.mm import access_process_vm, mm_struct
from ..linux.process import processes
from ..linux.structs.mm_types import MmStruct
from ..linux.structs.sched import TaskStruct
from ..linux.task import Task, for_each_process_thread, get_current, task
from ..replay import session
from ..target import kernel
from ..target.cstruct import Ptr
from ..target.memory import Broken, Fault, read_stub
from .monitor import quiet, uninterrupted
from .timetravel import Replay


@dataclass(frozen=True)
class Change:
    """The next instruction changes the byte."""

    count: int  # instructions since the reset
    before: int | None  # None: it could not be read, such as on a page not yet there
    after: int
    now: int  # where the search began: not after, if a change in between was not seen
    stops: int  # how often QEMU stopped until it was found


@dataclass(frozen=True)
class Owner:
    """Whose byte it is: an address space, told from earlier ones at the same address."""

    mm: Ptr[MmStruct]  # struct mm_struct *, 0 for a kernel thread
    mmap_base: int  # chosen by exec; a child has its parent's
    family: frozenset[int]  # ids of the process and all its ancestors

    def uses(self, other: Task) -> bool:
        """Does a task run in this address space, where the replay stands now?"""
        if other.mm != self.mm or not self.mm:
            return other.mm == self.mm
        if other.tgid not in self.family:
            return False
        return mm_struct(other.mm).mmap_base == self.mmap_base


def owner(current: Ptr[TaskStruct]) -> Owner:
    """The owner of what is at user addresses while a task is current."""
    own = task(current)
    parents = {process.tgid: process.ppid for process in processes()}
    family = {own.tgid}
    tgid = own.tgid
    while tgid in parents:
        tgid = parents.pop(tgid)
        family.add(tgid)
    base = mm_struct(own.mm).mmap_base if own.mm else 0
    return Owner(own.mm, base, frozenset(family))


def blame(address: int) -> Change | None:
    """Go back to the instruction that changed a byte last, and stop before it.

    Returns None if none did since the start; then, as after a Ctrl-C, gdb stands where it
    was before. The byte is the current process's. What the kernel writes through another
    mapping of the page is not seen. Raises gdb.GdbError, memory.Fault.
    """
    here = session.needed()
    kernel.refresh()
    value = read_stub(address, 1)[0]  # refuses what is not mapped
    origin = here.now
    try:
        found = _search(here, address, owner(get_current()), value)
    except KeyboardInterrupt:
        here.travel(origin)
        raise gdb.GdbError(
            f"Interrupted: back where the search began, at instruction {origin}."
        ) from None
    if found is None:
        here.travel(origin)
    return found


def _search(here: Replay, address: int, whose: Owner, now: int) -> Change | None:
    """Go back from write to write, until one has changed the byte."""
    stops = 0
    with here.undisturbed(), quiet():
        watch = gdb.Breakpoint(
            f"*(unsigned char *) {address:#x}",
            gdb.BP_WATCHPOINT,
            gdb.WP_WRITE,
            internal=True,
        )
        for bound in here.bounds:
            bound.enabled = True
        try:
            after = _byte(address, whose)
            while here.now > here.start:
                with uninterrupted():
                    gdb.execute("reverse-stepi", to_string=True)
                before = _byte(address, whose)
                if after is not None and before != after:
                    return Change(here.now, before, after, now, stops)
                # Going back QEMU does not look at the instruction just executed
                with uninterrupted():
                    gdb.execute("stepi", to_string=True)
                origin, watch.enabled = here.now, True
                with uninterrupted():
                    gdb.execute("reverse-continue", to_string=True)
                watch.enabled = False
                stops += 1
                later, after = after, _byte(address, whose)
                if later != after:
                    passed = _at_checkpoints(here, address, whose, origin)
                    if passed is not None:
                        before, after = passed
                        return Change(here.now, before, after, now, stops)
        finally:
            watch.delete()
    return None


def _at_checkpoints(
    here: Replay, address: int, whose: Owner, origin: int
) -> tuple[int | None, int] | None:
    """Did an instruction right before a checkpoint change the byte? Stops before it.

    Going back, QEMU executes from each checkpoint up to the instruction before the next
    one, but not that instruction. Returns the byte before and after, None if none did.
    """
    reached = here.now
    for count in sorted(here.checkpoints.names, reverse=True):
        if max(reached, here.start) < count <= origin:
            here.travel(count - 1)
            before = _byte(address, whose)
            here.travel(count)
            after = _byte(address, whose)
            if after is None:
                break  # there was no such memory yet
            if before != after:
                here.travel(count - 1)
                return before, after
    here.travel(reached)
    return None


def _byte(address: int, whose: Owner) -> int | None:
    """The byte, None if it is not mapped, or there is no such process yet.

    Another process may be running: it, too, can write to memory that they share.
    """
    kernel.refresh()
    try:
        if address < 1 << 63 and not whose.uses(task(get_current())):
            threads = map(task, for_each_process_thread())
            exists = any(whose.uses(thread) for thread in threads)
            return access_process_vm(whose.mm, address, 1)[0] if exists else None
        return read_stub(address, 1)[0]
    except (Broken, Fault, gdb.error):
        return None
