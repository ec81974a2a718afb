# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts and softirqs: kernel/irq/proc.c, arch/x86/kernel/irq.c, kernel/softirq.c."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.memory import Broken, Fault
from . import filemap, kallsyms, processors, task
from .errno import is_error, to_long
from .structs.irq import Irqaction, IrqChip, IrqCpustat, IrqDesc, KernelStat
from .structs.sched import TaskStruct

IRQ_HIDDEN = 1 << 20  # include/linux/irq.h
IRQF_TIMER = 0x200  # __IRQF_TIMER, include/linux/interrupt.h
MOST_IRQS = 1 << 16
MOST_ACTIONS = 1024
GATES = 256  # of the IDT
# Entry points of interrupts, and what /proc/interrupts calls their counters, "" where there
# is none: arch/x86/include/asm/idtentry.h
ENTRIES = {
    **{"common_interrupt": "", "spurious_interrupt": "SPU", "exc_nmi": "NMI"},
    **{"sysvec_apic_timer_interrupt": "LOC", "sysvec_spurious_apic_interrupt": "SPU"},
    **{"sysvec_error_interrupt": "", "sysvec_irq_work": "IWI"},
    **{"sysvec_x86_platform_ipi": "PLT", "sysvec_reschedule_ipi": "RES"},
    **{"sysvec_call_function": "CAL", "sysvec_call_function_single": "CAL"},
    **{"sysvec_irq_move_cleanup": "", "sysvec_reboot": "", "sysvec_thermal": "TRM"},
    **{"sysvec_threshold": "THR", "sysvec_deferred_error": "DFR"},
    **{"sysvec_kvm_posted_intr_ipi": "PIN", "sysvec_kvm_posted_intr_nested_ipi": "NPI"},
    **{"sysvec_kvm_posted_intr_wakeup_ipi": "PIW", "sysvec_hyperv_callback": "HYP"},
    **{"sysvec_hyperv_reenlightenment": "HRE", "sysvec_hyperv_stimer0": "HVS"},
    **{"sysvec_acrn_hv_callback": "HYP", "sysvec_xen_hvm_callback": "HYP"},
    "sysvec_kvm_asyncpf_interrupt": "HYP",
}
# What arch_show_interrupts() calls each counter, and how it is explained there
OF_CPUS = (
    ("NMI", "nmi_count", "Non-maskable interrupts"),
    ("LOC", "apic_timer_irqs", "Local timer interrupts"),
    ("SPU", "irq_spurious_count", "Spurious interrupts"),
    ("PMI", "apic_perf_irqs", "Performance monitoring interrupts"),
    ("IWI", "apic_irq_work_irqs", "IRQ work interrupts"),
    ("RTR", "icr_read_retry_count", "APIC ICR read retries"),
    ("PLT", "x86_platform_ipis", "Platform interrupts"),
    ("RES", "irq_resched_count", "Rescheduling interrupts"),
    ("CAL", "irq_call_count", "Function call interrupts"),
    ("TLB", "irq_tlb_count", "TLB shootdowns"),
    ("TRM", "irq_thermal_count", "Thermal event interrupts"),
    ("THR", "irq_threshold_count", "Threshold APIC interrupts"),
    ("DFR", "irq_deferred_error_count", "Deferred Error APIC interrupts"),
)
COUNTERS = (
    ("MCE", "mce_exception_count", "Machine check exceptions"),
    ("MCP", "mce_poll_count", "Machine check polls"),
)
HYPERVISORS = (
    ("HYP", "irq_hv_callback_count", "Hypervisor callback interrupts"),
    ("HRE", "irq_hv_reenlightenment_count", "Hyper-V reenlightenment interrupts"),
    ("HVS", "hyperv_stimer0_count", "Hyper-V stimer0 interrupts"),
)
# Shown only if somebody has claimed the vector: asm/irq_vectors.h
CLAIMED = {"HYP": 0xF3, "HRE": 0xEE, "HVS": 0xED}
ERRORS = (("ERR", "irq_err_count"), ("MIS", "irq_mis_count"))  # of all CPUs together
POSTED = (  # with CONFIG_HAVE_KVM
    ("PIN", "kvm_posted_intr_ipis", "Posted-interrupt notification event"),
    ("NPI", "kvm_posted_intr_nested_ipis", "Nested posted-interrupt event"),
    ("PIW", "kvm_posted_intr_wakeup_ipis", "Posted-interrupt wakeup event"),
)
structs.expect("irq_stat", "kstat", "softirq_to_name", "softirq_vec")


@dataclass(frozen=True)
class Handler:
    """Who handles an interrupt."""

    name: str
    function: str
    thread: str  # "comm PID: function" of a threaded handler, else ""
    is_timer: bool


@dataclass(frozen=True)
class Interrupt:
    """A line of /proc/interrupts."""

    name: str  # its number, or NMI, LOC, ...
    counts: tuple[int, ...]  # of the online CPUs
    chip: str  # "" for an interrupt of the CPUs' own
    hwirq: int | None
    flow: str  # "edge", "fasteoi": the name of how it is handled
    handlers: tuple[Handler, ...]
    meaning: str  # of one of the CPUs' own
    is_disabled: bool


@dataclass(frozen=True)
class Softirq:
    """A line of /proc/softirqs."""

    name: str
    counts: tuple[int, ...]  # of the online CPUs
    pending: tuple[int, ...]  # CPUs on which it waits to run
    action: str  # the function, "" if none is set


def interrupts() -> Iterator[Interrupt]:
    """All lines of /proc/interrupts: show_interrupts().

    :raises Refused: this kernel keeps its interrupts in another way
    :raises Broken: after what could be read, if something is damaged
    """
    cpus = processors.online_cpus()
    try:
        for number, desc in _descs():
            found = _interrupt(number, desc, cpus)
            if found is not None:
                yield found
        stats = [_per_cpu("irq_stat", IrqCpustat, cpu) for cpu in cpus]
    except Fault as fault:
        raise Broken(f"the interrupts cannot be read: {fault}") from None
    yield from _of_cpus(OF_CPUS, stats)
    for name, symbol, meaning in COUNTERS:
        if structs.has_symbol(symbol):
            place = Ptr[object](structs.address_of(symbol))
            counts = tuple(_u32(processors.per_cpu_ptr(place, cpu)) for cpu in cpus)
            yield _of_no_device(name, counts, meaning)
    yield from _of_cpus(HYPERVISORS, stats)
    for name, symbol in ERRORS:
        if structs.has_symbol(symbol):
            counts = (_u32(Ptr[object](structs.address_of(symbol))),)
            yield _of_no_device(name, counts, "")
    yield from _of_cpus(POSTED, stats)


def _of_cpus(
    which: tuple[tuple[str, str, str], ...], stats: list[IrqCpustat]
) -> Iterator[Interrupt]:
    """Counters that each CPU has for itself, as far as this kernel has them."""
    for name, member, meaning in which:
        counts = tuple(getattr(stat, member) for stat in stats)
        if None not in counts and _is_in_use(name):
            yield _of_no_device(name, counts, meaning)


def _is_in_use(name: str) -> bool:
    """Does arch_show_interrupts() show a counter? Raises memory.Fault."""
    guest = kernel.memory()
    if name == "PLT":
        callback = "x86_platform_ipi_callback"
        return structs.has_symbol(callback) and bool(
            guest.u64(structs.address_of(callback))
        )
    if name in CLAIMED:
        vector = CLAIMED[name]
        place = structs.address_of("system_vectors") + vector // 8
        return bool(guest.read(place, 1)[0] >> vector % 8 & 1)
    return True


def _of_no_device(name: str, counts: tuple[int, ...], meaning: str) -> Interrupt:
    return Interrupt(
        name=name,
        counts=counts,
        chip="",
        hwirq=None,
        flow="",
        handlers=(),
        meaning=meaning,
        is_disabled=False,
    )


def _u32(place: Ptr[object]) -> int:
    return int.from_bytes(kernel.memory().read(place, 4), "little")


def _per_cpu(symbol: str, kind: type[IrqCpustat], cpu: int) -> IrqCpustat:
    place = Ptr[IrqCpustat](structs.address_of(symbol))
    return kind(kernel.memory(), processors.per_cpu_ptr(place, cpu))


def desc_of_vector(vector: int, cpu: int) -> IrqDesc | None:
    """The interrupt that a vector stands for on a CPU: vector_irq[], arch/x86.

    None for a vector that is no interrupt's now. Raises memory.Fault.
    """
    table = Ptr[object](structs.address_of("vector_irq") + 8 * vector)
    desc = kernel.memory().u64(processors.per_cpu_ptr(table, cpu))
    if not desc or is_error(to_long(desc)):
        return None
    return IrqDesc(kernel.memory(), Ptr[IrqDesc](desc))


def count_of(desc: IrqDesc, cpu: int) -> int:
    """How often a CPU has got an interrupt. Raises memory.Fault."""
    own = desc.kstat_irqs
    return _u32(processors.per_cpu_ptr(own, cpu)) if own else 0


def handlers_of(desc: IrqDesc) -> list[Handler]:
    """Who handles an interrupt. Raises Broken, memory.Fault."""
    return list(_handlers(desc.action))


def cpu_stat(cpu: int) -> IrqCpustat:
    """How often a CPU has got each interrupt of its own. Raises memory.Fault."""
    return _per_cpu("irq_stat", IrqCpustat, cpu)


def counts_of(cpu: int) -> bytes:
    """All counts of a CPU's interrupts and softirqs, as they are. Raises memory.Fault."""
    guest, found = kernel.memory(), b""
    for symbol, kind in (
        ("irq_stat", "irq_cpustat_t"),
        ("kstat", "struct kernel_stat"),
    ):
        place = processors.per_cpu_ptr(Ptr[object](structs.address_of(symbol)), cpu)
        found += guest.read(place, structs.sizeof(kind))
    return found


def gates() -> dict[str, int]:
    """Vectors by the entry point that the IDT has for them. Raises memory.Fault."""
    found: dict[str, int] = {}
    size = structs.sizeof("struct gate_struct")
    raw = kernel.memory().read(structs.address_of("idt_table"), GATES * size)
    for vector, gate in enumerate(struct.iter_unpack("<HHHHII", raw)):
        low, _, _, middle, high, _ = gate
        name = kallsyms.symbol_name(high << 32 | middle << 16 | low)
        found.setdefault(name, vector)
    return found


def _descs() -> Iterator[tuple[int, IrqDesc]]:
    """All irq_desc, by number: irq_to_desc(). Raises Refused, Fault, Broken."""
    guest = kernel.memory()
    count = kernel.read_int("nr_irqs")
    if not 0 <= count <= MOST_IRQS:
        raise Broken(f"nr_irqs is {count}")
    if not structs.has_symbol("irq_desc_tree"):
        raise Refused(
            "This kernel has its interrupts in a maple tree (since v6.5, 721255b9826b), "
            "which the lab does not read, or in an array."
        )
    tree = structs.address_of("irq_desc_tree")
    head = Ptr[object](guest.u64(tree + structs.offsetof("struct xarray", "xa_head")))
    for number in range(count):
        found = filemap.xa_load(head, number)
        if found:
            yield number, IrqDesc(guest, Ptr[IrqDesc](found))


def _interrupt(number: int, desc: IrqDesc, cpus: list[int]) -> Interrupt | None:
    """The line of an interrupt, None if it has none. Raises Fault, Broken."""
    if desc.status_use_accessors & IRQ_HIDDEN:
        return None
    counts = tuple(count_of(desc, cpu) for cpu in cpus)
    chained = structs.has_symbol("chained_action") and desc.action == (
        structs.address_of("chained_action")
    )
    if (not desc.action or chained) and not any(counts):
        return None
    return Interrupt(
        name=str(number),
        counts=counts,
        chip=_chip(desc.chip),
        hwirq=desc.hwirq if desc.domain else None,
        flow=_string(desc.name) if desc.name else "",
        handlers=tuple(_handlers(desc.action)),
        meaning="",
        is_disabled=bool(desc.depth),
    )


def _chip(place: Ptr[IrqChip]) -> str:
    if not place:
        return "None"
    name = IrqChip(kernel.memory(), place).name
    return _string(name) if name else "-"


def _string(place: Ptr[object]) -> str:
    return text_of(kernel.memory().read_string(place, 256))


def _handlers(action: Ptr[Irqaction]) -> Iterator[Handler]:
    seen: set[int] = set()
    while action:
        if action in seen or len(seen) > MOST_ACTIONS:
            raise Broken(f"the handlers of an interrupt are a cycle: {action:#x} again")
        seen.add(action)
        read = Irqaction(kernel.memory(), action)
        function = kallsyms.symbol_name(read.handler) or f"{read.handler:#x}"
        yield Handler(
            name=_string(read.name),
            function=function,
            thread=_thread(read),
            is_timer=bool(read.flags & IRQF_TIMER),
        )
        action = read.next


def _thread(read: Irqaction) -> str:
    """The thread of a threaded handler, and what it calls."""
    if not read.thread:
        return ""
    own = TaskStruct(kernel.memory(), read.thread)
    function = kallsyms.symbol_name(read.thread_fn) or f"{read.thread_fn:#x}"
    return f"{task.comm_text(own.comm)} {own.pid}: {function}"


def softirqs() -> list[Softirq]:
    """All lines of /proc/softirqs: show_softirqs(). Raises Broken, memory.Fault."""
    guest, cpus = kernel.memory(), processors.online_cpus()
    counts = [softirq_counts(cpu) for cpu in cpus]
    pending = [softirq_pending(cpu) for cpu in cpus]
    vector = structs.address_of("softirq_vec")
    step = structs.sizeof("struct softirq_action")
    found = []
    for number, name in enumerate(softirq_names()):
        action = guest.u64(vector + number * step)
        found.append(
            Softirq(
                name=name,
                counts=tuple(own[number] for own in counts),
                pending=tuple(
                    cpu for cpu, mask in zip(cpus, pending) if mask >> number & 1
                ),
                action=kallsyms.symbol_name(action) if action else "",
            )
        )
    return found


def softirq_names() -> list[str]:
    """HI, TIMER, NET_TX, ...: softirq_to_name[]. Raises memory.Fault."""
    names = structs.address_of("softirq_to_name")
    return [
        _string(Ptr[object](kernel.memory().u64(names + place)))
        for place in range(0, structs.variable_size("softirq_to_name"), 8)
    ]


def softirq_counts(cpu: int) -> tuple[int, ...]:
    """How often a CPU has run each softirq. Raises memory.Fault."""
    place = Ptr[KernelStat](structs.address_of("kstat"))
    read = KernelStat(kernel.memory(), processors.per_cpu_ptr(place, cpu))
    return struct.unpack(f"<{len(read.softirqs) // 4}I", read.softirqs)


def softirq_pending(cpu: int) -> int:
    """local_softirq_pending() of a CPU. Raises memory.Fault."""
    if structs.has_symbol("irq_stat"):
        pending = _per_cpu("irq_stat", IrqCpustat, cpu).softirq_pending
        if pending is not None:
            return pending
    place = task.per_cpu_place("softirq_pending", "__softirq_pending")
    own = processors.per_cpu_ptr(Ptr[object](place), cpu)
    return int.from_bytes(kernel.memory().read(own, 2), "little")
