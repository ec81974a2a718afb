# SPDX-License-Identifier: GPL-2.0-only
"""lab trace fault: page faults, what was touched and what resolved it.

An event is one exception of the processor: exc_page_fault() in
arch/x86/mm/fault.c (since v5.8, 91eeafea1e4b), from its first instruction to its
return. The page-table entry is looked at both times. Pages that the kernel gets
for a program without an exception (MAP_POPULATE, mlock(), the arguments of
execve()) are no events; the counters in the summary tell of them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ...linux import registers, signals
from ...linux.task import register
from ...result import Number, Table, Words
from ..engine import Timeline, Tracer
from ..event import Call, Moment, Point
from . import kinds, words
from .counters import Counts
from .events import FaultDone, FaultEvent, FaultSignal
from .kinds import Kind
from .look import Access, Look, handler_of, look, look_data, mapped_around
from .names import Names


class ResolvedRow(NamedTuple):
    """What resolved so many faults."""

    kind: Words
    faults: Number
    pages: Number
    done_in: Words
    meaning: Words


@dataclass
class Open:
    """A page fault that is being handled."""

    access: Access
    before: Look
    entered: int  # when, in the order of what the timeline saw
    told: bool = False  # as a signal
    inner: tuple[int, int] = (0, 0)  # what faults inside of it added to the counters


class Faults(Timeline):
    """Page faults, and what resolved them."""

    name = "fault"
    follows = "page faults: what was touched, and what resolved it"

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self._open: dict[int, list[Open]] = {}  # by struct task_struct *
        self._order = 0
        # Who resolved a page last, and when: by struct mm_struct * and address, the
        # longest ago first
        self._resolved: OrderedDict[tuple[int, int], tuple[int, int]] = OrderedDict()
        self._names = Names()
        self.counts = Counts()
        self.faults: Counter[Kind] = Counter()
        self.pages: Counter[Kind] = Counter()

    def points(self) -> list[Point]:
        return [
            Point(
                ("exc_page_fault",),
                "page faults",
                self._enter,
                self._leave,
                self._ended,
            ),
            Point(("force_sig_fault",), "the signals they raise", self._signal),
            Point(
                ("wake_up_new_task",),
                "counters of a new task",
                lambda moment: self.counts.starts(moment.argument(0)),
            ),
            Point(
                ("do_exit",),
                "counters of a task at its end",
                lambda moment: self.counts.ends(moment.task),
            ),
        ]

    # --- Stops ----------------------------------------------------------------

    def _enter(self, moment: Moment) -> Open:
        place = moment.argument(0)
        regs = registers.pt_regs(place)
        access = Access(register("cr2"), moment.argument(1), place, regs)
        before = look(moment.task.mm, moment.task.address, access.address)
        self._order += 1
        opened = Open(access, before, self._order)
        self._open.setdefault(moment.task.address, []).append(opened)
        return opened

    def _leave(self, moment: Moment, call: Call) -> None:
        ip = registers.pt_regs(call.note.access.place).ip
        self._finish(moment, call.note, ip, kinds.AGAIN, "")

    def _ended(self, moment: Moment, call: Call) -> None:
        """A signal ends the task before it is back in user mode."""
        number = moment.argument(0) & 0x7F  # do_exit(code)
        how = f" by {signals.signal_name(number)}" if number else ""
        ip = call.note.access.regs.ip
        self._finish(moment, call.note, ip, kinds.KILLED, f"the task ends{how}")

    def _finish(
        self, moment: Moment, opened: Open, ip: int, unresolved: Kind, ends: str
    ) -> None:
        """The fault is over: was it resolved, and by what?"""
        access, before = opened.access, opened.before
        self._close(moment.task.address, opened)
        after = look(moment.task.mm, moment.task.address, access.address)
        counted, major = self._count(moment, opened, after)
        if opened.told:
            return
        kind = kinds.kind_of(access, before, after, ip)
        if kind is kinds.AGAIN:
            kind = unresolved
        pages, by = self._claim(moment, opened, kind, after)
        if by:
            kind = kind if pages else kinds.THERE
            outcome = words.late_phrase(by, len(pages))
        elif kind is kinds.KILLED:
            outcome = f"not resolved, {ends}"
        else:
            around = len(pages) - 1
            outcome = words.phrase(kind, access, before, after, around, major)
            outcome += f", and {ends}" if ends else ""
        known = self._event(moment, opened, after, kind, outcome, pages, counted)
        moment = replace(moment, function=kind.done_in)
        self.tracer.emit(moment, FaultDone(**known, major=major, by=by))

    def _signal(self, moment: Moment) -> None:
        """The fault cannot be resolved: its task gets a signal."""
        nested = self._open.get(moment.task.address)
        if not nested or nested[-1].told:
            return  # of another exception
        opened = nested[-1]
        number, code = moment.argument(0), moment.argument(1)
        handler = handler_of(moment.task.address, number)
        after = look(moment.task.mm, moment.task.address, opened.access.address)
        opened.told = True
        outcome = words.signal_phrase(number, code, handler)
        known = self._event(moment, opened, after, kinds.SIGNAL, outcome, [], 0)
        event = FaultSignal(
            **known,
            signal=signals.signal_name(number),
            code=words.code_name(number, code),
            handler=handler,
        )
        self.tracer.emit(replace(moment, function=kinds.SIGNAL.done_in), event)

    # --- What they mean -------------------------------------------------------

    def _count(self, moment: Moment, opened: Open, after: Look) -> tuple[int, bool]:
        """How often the kernel counted this fault (0 or 1), and if as a major one."""
        before = opened.before
        minor, major = after.min_flt - before.min_flt, after.maj_flt - before.maj_flt
        for outer in self._open.get(moment.task.address, [])[-1:]:
            outer.inner = (outer.inner[0] + minor, outer.inner[1] + major)
        minor, major = minor - opened.inner[0], major - opened.inner[1]
        return minor + major, major > 0

    def _claim(
        self, moment: Moment, opened: Open, kind: Kind, after: Look
    ) -> tuple[list[int], int]:
        """The pages this fault mapped or made writable, and who was faster, else 0.

        If several threads are in a fault for the same page, all see it come. It is
        taken for the work of the first that returns. The others may still have
        mapped pages around it, which the first had to leave out.
        """
        if not kind.resolves:
            return [], 0
        wanted = [opened.access.page]
        if kind is kinds.FILE:
            wanted += mapped_around(opened.before, after, opened.access.page)
        mm, pages, by = moment.task.mm, [], 0
        self._order += 1
        for address in wanted:
            when, who = self._resolved.get((mm, address), (0, 0))
            if when < opened.entered:
                pages.append(address)
                self._resolved[mm, address] = self._order, moment.task.pid
                self._resolved.move_to_end((mm, address))
            elif address == opened.access.page:
                by = who
        self._forget()
        return pages, by

    def _close(self, address: int, opened: Open) -> None:
        """A fault of a task is handled no more: struct task_struct *."""
        self._open[address].remove(opened)
        if not self._open[address]:
            del self._open[address]

    def _forget(self) -> None:
        """Drop who resolved a page before every fault that is still handled began."""
        begun = [opened.entered for nested in self._open.values() for opened in nested]
        oldest = min(begun, default=self._order + 1)
        while self._resolved:
            page, (when, _) = next(iter(self._resolved.items()))
            if when >= oldest:
                break
            del self._resolved[page]

    def _event(
        self,
        moment: Moment,
        opened: Open,
        after: Look,
        kind: Kind,
        outcome: str,
        pages: list[int],
        counted: int,
    ) -> dict[str, Any]:
        """The members that all kinds of FaultEvent have."""
        access, before = opened.access, opened.before
        self.faults[kind] += 1
        self.pages[kind] += len(pages)
        self.counts.saw(moment.task, before, after, counted)
        area = kinds.area_of(before, after)
        inside, syscall = self._names.inside(moment.task, access)
        where = self._names.where(moment.task, access, before, after)
        what = [
            f"{access.verb} {access.address:#x}, {where}: {outcome}",
            words.entries(before, after),
            words.by_whom(access, inside, syscall),
        ]
        return vars(
            FaultEvent(
                what="; ".join(filter(None, what)),
                lines=words.new_tables(before, after),
                address=access.address,
                access=access.verb,
                mode="user" if access.from_user else "kernel",
                refused=access.is_refused,
                ip=access.regs.ip,
                inside=inside,
                syscall=syscall,
                area=self._names.area_data(moment.task.mm, area),
                kind=kind.name,
                pages=pages,
                counted=counted,
                before=look_data(before),
                after=look_data(after),
            )
        )

    def summary(self) -> list[Any]:
        rows = [
            ResolvedRow(
                kind.name,
                self.faults[kind],
                self.pages[kind],
                kind.done_in + "()",
                kind.meaning,
            )
            for kind in kinds.ALL
            if self.faults[kind]
        ]
        return [Table(ResolvedRow, "What resolved them", rows), *self.counts.summary()]
