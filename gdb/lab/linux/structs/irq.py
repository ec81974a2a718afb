# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/irqdesc.h, irq.h, interrupt.h, timer.h and hrtimer.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ...target.cstruct import S64, U8, U32, U64, Int, Ptr, Raw, Struct, at

if TYPE_CHECKING:
    from .lib import RbNode
    from .sched import TaskStruct


class IrqDesc(Struct, name="struct irq_desc"):
    """An interrupt: include/linux/irqdesc.h."""

    irq: U32 = at("irq_data.irq")
    hwirq: U64 = at("irq_data.hwirq")
    chip: Ptr[IrqChip] = at("irq_data.chip")
    domain: Ptr[object] = at("irq_data.domain")
    kstat_irqs: Ptr[object]  # unsigned int __percpu *
    handle_irq: Ptr[object]
    action: Ptr[Irqaction]
    status_use_accessors: U32
    depth: U32  # how often it is disabled
    name: Ptr[object]  # const char *


class IrqChip(Struct, name="struct irq_chip"):
    """What raises interrupts: include/linux/irq.h."""

    name: Ptr[object]  # const char *


class Irqaction(Struct, name="struct irqaction"):
    """Who handles an interrupt: include/linux/interrupt.h."""

    handler: Ptr[object]
    next: Ptr[Irqaction]
    thread_fn: Ptr[object]
    thread: Ptr[TaskStruct]
    flags: U32  # IRQF_...
    name: Ptr[object]  # const char *


class IrqCpustat(Struct, name="irq_cpustat_t"):
    """How often a CPU got each interrupt of its own: arch/x86/include/asm/hardirq.h."""

    # Until v6.2 (e57ef2ed97c1), later in pcpu_hot
    softirq_pending: Optional[Int] = at("__softirq_pending")
    nmi_count: U32 = at("__nmi_count")
    apic_timer_irqs: Optional[U32]  # with CONFIG_X86_LOCAL_APIC
    irq_spurious_count: Optional[U32]  # likewise
    apic_perf_irqs: U32
    apic_irq_work_irqs: U32
    icr_read_retry_count: Optional[U32]  # with CONFIG_X86_LOCAL_APIC
    x86_platform_ipis: U32
    irq_resched_count: Optional[U32]  # with CONFIG_SMP
    irq_call_count: Optional[U32]  # likewise
    irq_tlb_count: U32
    irq_thermal_count: Optional[U32]  # with CONFIG_X86_THERMAL_VECTOR
    irq_threshold_count: Optional[U32]  # with CONFIG_X86_MCE_THRESHOLD
    irq_deferred_error_count: Optional[U32]  # with CONFIG_X86_MCE_AMD
    irq_hv_callback_count: Optional[U32]  # with CONFIG_X86_HV_CALLBACK_VECTOR
    irq_hv_reenlightenment_count: Optional[U32]  # with CONFIG_HYPERV
    hyperv_stimer0_count: Optional[U32]  # likewise
    kvm_posted_intr_ipis: Optional[U32]  # with CONFIG_HAVE_KVM
    kvm_posted_intr_nested_ipis: Optional[U32]  # likewise
    kvm_posted_intr_wakeup_ipis: Optional[U32]  # likewise


class KernelStat(Struct, name="struct kernel_stat"):
    """What a CPU counts: include/linux/kernel_stat.h."""

    irqs_sum: U64
    softirqs: Raw  # unsigned int[NR_SOFTIRQS]


class TimerBase(Struct, name="struct timer_base"):
    """The timers of a CPU, in a wheel: kernel/time/timer.c."""

    clk: U64
    vectors: Raw  # struct hlist_head[]


class TimerList(Struct, name="struct timer_list"):
    """A timer: include/linux/timer.h."""

    next: Ptr[TimerList] = at("entry.next")  # entry is its first member
    expires: U64
    function: Ptr[object]


class HrtimerClockBase(Struct, name="struct hrtimer_clock_base"):
    """The high-resolution timers of one clock on a CPU: include/linux/hrtimer.h."""

    clockid: Int
    rb_node: Ptr[RbNode] = at("active.rb_root.rb_root.rb_node")
    offset: S64


class Hrtimer(Struct, name="struct hrtimer"):
    """A high-resolution timer: include/linux/hrtimer.h."""

    expires: S64 = at("node.expires")
    function: Ptr[object]
    is_soft: U8
