# SPDX-License-Identifier: GPL-2.0-only
"""lab trace irq: what interrupts whom, and which softirqs follow.

An interrupt of a CPU begins at its entry point (arch/x86/include/asm/idtentry.h) and ends
at irq_exit_rcu(), which runs the softirqs that wait. On the way back to user mode another
task may run first: that is no part of it.

Live a stop at the end would tell nothing: the guest's clock runs on while QEMU comes to a
stop and goes on, for longer than an interrupt takes; with two stops for each tick the next
one is there before the guest has done anything. In a recording time is instructions.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...linux import irq, kallsyms, processors, registers, stack, vma
from ...linux.structs.irq import IrqDesc
from ...linux.structs.x86 import PtRegs
from ...linux.task import Task
from ...programs.code import Code
from ...replay import session
from ...result import Number, Table, Words
from ...sizes import counted
from ...target import kernel, structs
from ...target.cstruct import Ptr
from ...target.debugger import Refused
from ...target.memory import Broken, Fault
from ..engine import Timeline, Tracer
from ..event import Call, Moment, Point
from .events import HandlersCalled, Interrupt, Softirqs

# DEFINE_IDTENTRY_SYSVEC_SIMPLE() and the NMI: they do not call irq_exit_rcu()
SIMPLE = {
    *("sysvec_reschedule_ipi", "sysvec_kvm_posted_intr_ipi", "exc_nmi"),
    "sysvec_kvm_posted_intr_nested_ipi",
}
DEVICE = "common_interrupt"
RESULTS = {1: "IRQ_HANDLED", 2: "IRQ_WAKE_THREAD"}  # include/linux/irqreturn.h
KSOFTIRQD = "ksoftirqd"
NO_CLOCK = (
    "How long an interrupt takes, and which softirqs it raises, a recording tells: here "
    "the guest's clock also runs while QEMU stops and goes on."
)
COUNTERS = {
    name: (member, meaning)
    for name, member, meaning in (*irq.OF_CPUS, *irq.HYPERVISORS, *irq.POSTED)
}


class InterruptRow(NamedTuple):
    """How often an interrupt came, and what it interrupted."""

    interrupt: Words
    what: Words  # handlers, or the meaning
    times: Number
    in_user_mode: Number
    in_kernel: Number
    in_softirqs: Number
    idle: Number


class SoftirqRow(NamedTuple):
    """How often a softirq ran, and why then."""

    softirq: Words
    times: Number
    after_interrupts: Number
    in_ksoftirqd: Number
    otherwise: Number  # such as local_bh_enable()


@dataclass
class Open:
    """An interrupt that has begun."""

    moment: Moment
    name: str
    vector: int | None
    desc: IrqDesc | None  # of a device's interrupt
    regs: PtRegs
    context: str
    place: str
    count: int | None  # how often the CPU has got it before
    began: int | None  # instructions, in a recording


@dataclass
class Batch:
    """Softirqs that have begun."""

    counts: tuple[int, ...]
    after: str
    began: int | None


class Irqs(Timeline):
    """Interrupts of the followed processes, and the softirqs behind them."""

    name = "irq"
    follows = "interrupts: what they interrupt, handlers, softirqs, how long"

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self._code = Code()
        self._vectors: dict[str, int] | None = None
        self._open: dict[int, Open] = {}  # by CPU
        # titles, by CPU and entry point
        self._last: dict[tuple[int, str], str] = {}
        self._inside: Counter[int] = Counter()  # interrupts of softirqs, by CPU
        self._times: dict[str, Counter[str]] = {}
        self._what: dict[str, str] = {}
        self._softirqs: dict[str, Counter[str]] = {}

    def points(self) -> list[Point]:
        tells = "what is interrupted"
        entries = [
            Point(
                (name,),
                tells,
                self._begins,
                everyone=True,
            )
            for name in irq.ENTRIES
            if structs.has_symbol(name)
        ]
        ends = Point(
            ("irq_exit_rcu",), "when an interrupt ends", self._ends, everyone=True
        )
        return [
            *entries,
            *[ends] * session.active(),
            Point(
                ("__handle_irq_event_percpu",),
                "what its handlers say",
                self._handles,
                self._handled,
                optional=True,
                everyone=True,
            ),
            Point(
                # The first since v6.9 (1dd1eff161bd), and where stable kernels have it
                ("handle_softirqs", "__do_softirq"),
                "which softirqs run",
                self._softirqs_begin,
                self._softirqs_end,
                everyone=True,
            ),
        ]

    def _wants(self, current: Task) -> bool:
        """Is a task followed? With all, idle and kernel threads are, too."""
        return self.tracer.follow.everyone or self.tracer.follow.wants(current)

    # --- Interrupts ---------------------------------------------------------------

    def progress(self, cpu: int) -> Any:
        """Counts of the kernel's: entry code has cleared the registers."""
        return irq.counts_of(cpu)

    def _begins(self, moment: Moment) -> None:
        """An entry point: (struct pt_regs *, ...)."""
        self._open.pop(moment.cpu, None)
        if not self._wants(moment.task):
            return
        regs = registers.pt_regs(moment.argument(0))
        vector, desc = self._vector(moment), None
        name = irq.ENTRIES[moment.function]
        if moment.function == DEVICE and vector is not None:
            desc = irq.desc_of_vector(vector, moment.cpu)
            name = str(desc.irq) if desc else ""
        began = Open(
            moment=moment,
            name=name,
            vector=vector,
            desc=desc,
            regs=regs,
            context=processors.preempt_count(moment.cpu).context,
            place=self._place(moment.task, regs),
            count=_count(name, desc, moment.cpu),
            began=_instructions(),
        )
        self._last[moment.cpu, moment.function] = self._title(began, [])[0]
        if began.began is None or moment.function in SIMPLE:
            self._tell(began, None, None)
        else:
            self._open[moment.cpu] = began

    def _vector(self, moment: Moment) -> int | None:
        """The vector: passed on, or that which the IDT has for this entry point."""
        if moment.function in (DEVICE, "spurious_interrupt"):
            return moment.argument(1) & 0xFF
        if self._vectors is None:
            self._vectors = irq.gates()
        return self._vectors.get(f"asm_{moment.function}")

    def _place(self, current: Task, regs: PtRegs) -> str:
        """The function that was interrupted."""
        if not registers.user_mode(regs):
            return kallsyms.sprint_symbol(regs.ip)
        try:
            area = vma.vma_lookup(current.mm, regs.ip)
            return self._code.name(current, regs, area)
        except (Broken, Fault):
            return f"{regs.ip:#x}"

    def _ends(self, moment: Moment) -> None:
        """irq_exit_rcu(): the handler has returned; softirqs may follow."""
        began = self._open.pop(moment.cpu, None)
        if began is not None:
            raised = _names_of(irq.softirq_pending(moment.cpu))
            self._tell(began, _since(began.began), raised)

    def _tell(self, began: Open, took: int | None, raised: list[str] | None) -> None:
        handlers = irq.handlers_of(began.desc) if began.desc else []
        names = [handler.name for handler in handlers]
        current = began.moment.task
        mode = "user" if registers.user_mode(began.regs) else "kernel"
        title, meaning = self._title(began, names)
        inside = f", in a {began.context}" * (began.context != "process")
        idle = " while it is idle" * (not current.pid)
        where = "in user mode" if mode == "user" else "in the kernel"
        what = f"{title} interrupts it {where}{inside} at {began.place}{idle}"
        what += f"; it took {counted(took or 0, 'instruction')}" * bool(took)
        what += f"; raised: {', '.join(raised or ())}" * bool(raised)
        counts = self._times.setdefault(title, Counter())
        counts["times"] += 1
        key = mode if began.context == "process" else "softirq"
        counts[key if current.pid or key != "kernel" else "idle"] += 1
        self._what[title] = meaning
        if began.context == "softirq":
            self._inside[began.moment.cpu] += 1
        event = Interrupt(
            what=what,
            instructions=took,
            interrupt=began.name,
            vector=began.vector,
            handlers=names,
            mode=mode,
            context=began.context,
            ip=began.regs.ip,
            place=began.place,
            count=began.count,
            raised=raised,
        )
        self.tracer.emit(began.moment, event)

    def _title(self, began: Open, names: list[str]) -> tuple[str, str]:
        """What an interrupt is called, and what it is for."""
        if began.moment.function == DEVICE:
            name = f"IRQ {began.name}" if began.name else f"vector {began.vector:#x}"
            return name, ", ".join(names)
        _, meaning = COUNTERS.get(began.name, ("", ""))
        return began.name or began.moment.function.removeprefix("sysvec_"), meaning

    # --- Handlers -----------------------------------------------------------------

    def _handles(self, moment: Moment) -> tuple[IrqDesc, int | None] | None:
        """__handle_irq_event_percpu(struct irq_desc *, ...).

        What a timer's handler says is not worth the stop: it comes all the time.
        """
        if not self._wants(moment.task):
            return None
        desc = IrqDesc(kernel.memory(), Ptr[IrqDesc](moment.argument(0)))
        if any(handler.is_timer for handler in irq.handlers_of(desc)):
            return None
        return desc, _instructions()

    def _handled(self, moment: Moment, call: Call) -> None:
        desc, began = call.note
        handlers = irq.handlers_of(desc)
        functions = [handler.function for handler in handlers]
        bits = moment.int_result
        names = [name for bit, name in RESULTS.items() if bits & bit]
        result = "|".join(names) or ("IRQ_NONE" if not bits else str(bits))
        threads = [handler.thread for handler in handlers if handler.thread]
        what = f"IRQ {desc.irq}: {', '.join(functions) or 'nobody'} says {result}"
        event = HandlersCalled(
            what=what + f"; the rest is for {', '.join(threads)}" * bool(threads),
            instructions=_since(began),
            interrupt=str(desc.irq),
            handlers=functions,
            result=result,
            threads=threads,
        )
        self.tracer.emit(call.entered, event)

    # --- Softirqs -----------------------------------------------------------------

    def _softirqs_begin(self, moment: Moment) -> Batch | None:
        if not self._wants(moment.task):
            return None
        after = self._cause(moment)
        self._inside[moment.cpu] = 0
        return Batch(irq.softirq_counts(moment.cpu), after, _instructions())

    def _cause(self, moment: Moment) -> str:
        """The interrupt at whose end softirqs run, ksoftirqd, or "" for anything else."""
        if moment.task.address == _ksoftirqd(moment.cpu):
            return KSOFTIRQD
        try:
            here = processors.this_processor()
            for frame in stack.unwind(moment.task.address, here):
                name = kallsyms.symbol_name(frame.ip)
                if frame.kind != "running" and name in irq.ENTRIES:
                    return self._last.get((moment.cpu, name), name)
                if frame.kind in ("interrupted", "user"):
                    break
        except (Broken, Fault, Refused):
            pass  # built without frame pointers
        return ""

    def _softirqs_end(self, moment: Moment, call: Call) -> None:
        batch: Batch = call.note
        cpu = call.entered.cpu
        counts, names = irq.softirq_counts(cpu), irq.softirq_names()
        known = list(zip(names, counts, batch.counts))
        ran = {name: now - old for name, now, old in known if now != old}
        left = _names_of(irq.softirq_pending(cpu))
        inside = self._inside.pop(cpu, 0)
        took = _since(batch.began)
        for name, times in ran.items():
            own = self._softirqs.setdefault(name, Counter())
            own["times"] += times
            own[batch.after if batch.after in ("", KSOFTIRQD) else "irq"] += times
        told = [name + f" {times} times" * (times > 1) for name, times in ran.items()]
        what = f"runs the softirqs {', '.join(told)}" if told else "runs no softirq"
        what += f" after {batch.after}" * (batch.after not in ("", KSOFTIRQD))
        what += f", in {counted(took or 0, 'instruction')}" * bool(took)
        what += f", with {counted(inside, 'interrupt')} in between" * bool(inside)
        what += f"; {', '.join(left)} still wait" * bool(left)
        event = Softirqs(
            what=what,
            instructions=took,
            softirqs=ran,
            counts={name: now for name, now, _ in known if name in ran},
            after=batch.after,
            interrupts=inside,
            left=left,
        )
        self.tracer.emit(call.entered, event)

    def summary(self) -> list[Any]:
        rows = [
            InterruptRow(
                interrupt=title,
                what=self._what[title],
                times=counts["times"],
                in_user_mode=counts["user"],
                in_kernel=counts["kernel"],
                in_softirqs=counts["softirq"],
                idle=counts["idle"],
            )
            for title, counts in self._times.items()
        ]
        softirqs = [
            SoftirqRow(
                softirq=name,
                times=counts["times"],
                after_interrupts=counts["irq"],
                in_ksoftirqd=counts[KSOFTIRQD],
                otherwise=counts[""],
            )
            for name, counts in self._softirqs.items()
        ]
        parts: list[Any] = []
        if rows:
            parts.append(Table(InterruptRow, "Interrupts", rows))
        if softirqs:
            parts.append(Table(SoftirqRow, "Softirqs", softirqs))
        if rows and not session.active():
            parts.append(NO_CLOCK)
        return parts


def _count(name: str, desc: IrqDesc | None, cpu: int) -> int | None:
    """How often a CPU has got an interrupt until now."""
    if desc is not None:
        return irq.count_of(desc, cpu)
    member, _ = COUNTERS.get(name, ("", ""))
    found: int | None = getattr(irq.cpu_stat(cpu), member) if member else None
    return found


def _names_of(mask: int) -> list[str]:
    """Softirqs by their bits."""
    return [name for bit, name in enumerate(irq.softirq_names()) if mask >> bit & 1]


def _ksoftirqd(cpu: int) -> int:
    """The struct task_struct * of ksoftirqd/CPU."""
    place = Ptr[object](structs.address_of(KSOFTIRQD))
    return kernel.memory().u64(processors.per_cpu_ptr(place, cpu))


def _instructions() -> int | None:
    """Instructions since the reset, None if this is no recording."""
    return session.instruction_count() if session.active() else None


def _since(began: int | None) -> int | None:
    now = _instructions()
    return None if now is None or began is None else now - began
