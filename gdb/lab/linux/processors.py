# SPDX-License-Identifier: GPL-2.0-only
"""The processors of the stopped guest: to gdb a thread is a processor."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeVar

from ..target import kernel, structs
from ..target.cstruct import NULL, Ptr
from ..target.debugger import debugger
from .structs.sched import TaskStruct
from .task import CPL, kernel_gs_bases, per_cpu_place

MASK = 0xFFFF_FFFF_FFFF_FFFF
T = TypeVar("T")
REGISTERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
    *("rip", "eflags", "cs", "ss", "fs_base", "gs_base", "k_gs_base"),
)

# Bits of the preempt count, include/linux/preempt.h. On x86 the highest bit is
# clear when the scheduler shall run: PREEMPT_NEED_RESCHED, asm/preempt.h.
PREEMPT_BITS = 0x0000_00FF
SOFTIRQ_BITS = 0x0000_FF00
SOFTIRQ_OFFSET = 0x0000_0100  # a softirq runs
SOFTIRQ_DISABLE_OFFSET = 0x0000_0200
HARDIRQ_BITS = 0x000F_0000
NMI_BITS = 0x00F0_0000
NEED_RESCHED = 0x8000_0000
# Which bits each is about; for in_task() all must be clear
QUESTIONS = {
    "in_task": NMI_BITS | HARDIRQ_BITS | SOFTIRQ_OFFSET,
    "in_interrupt": NMI_BITS | HARDIRQ_BITS | SOFTIRQ_BITS,
    "in_softirq": SOFTIRQ_BITS,
    "in_hardirq": HARDIRQ_BITS,
    "in_nmi": NMI_BITS,
    "in_atomic": 0xFFFF_FFFF,
}
EFLAGS_IF = 1 << 9
structs.expect("__per_cpu_offset", "__per_cpu_load", "__preempt_count")


@dataclass(frozen=True)
class Processor:
    """A processor and its registers."""

    thread: int  # gdb's number of it
    cpu: int | None  # the kernel's number; None while the kernel does not use it
    base: int  # its per-CPU offset, 0 while it has no number
    current: Ptr[TaskStruct]  # that runs on it, 0 while it has no number
    registers: dict[str, int]

    @property
    def ip(self) -> int:
        return self.registers["rip"]

    @property
    def irqs_disabled(self) -> bool:
        """Does the processor take no interrupts: is EFLAGS.IF clear?"""
        return not self.registers["eflags"] & EFLAGS_IF

    @property
    def in_user_mode(self) -> bool:
        return self.registers["cs"] & CPL == CPL


@dataclass(frozen=True)
class PreemptCount:
    """What a CPU is doing, decoded from its preempt count: include/linux/preempt.h."""

    value: int
    preempt: int  # preempt_disable() depth; always 0 without CONFIG_PREEMPT_COUNT
    softirq_disabled: int  # local_bh_disable() depth
    in_softirq: bool
    hardirq: int  # depth
    nmi: int  # depth
    need_resched: bool

    def is_(self, question: str) -> tuple[bool, int]:
        """The answer of in_task(), in_interrupt(), ..., and the bits that it is made of.

        :param question: one of QUESTIONS
        """
        own = self.value & ~NEED_RESCHED & QUESTIONS[question]
        return bool(own) != (question == "in_task"), own

    @property
    def context(self) -> str:
        """The innermost of NMI, hardirq, softirq and process."""
        if self.nmi:
            return "NMI"
        if self.hardirq:
            return "hardirq"
        return "softirq" if self.in_softirq else "process"


def preempt_count(cpu: int) -> PreemptCount:
    """Decode a CPU's preempt count. Raises memory.Fault."""
    place = per_cpu_place("preempt_count", "__preempt_count") + per_cpu_offsets()[cpu]
    value = kernel.memory().u64(place) & 0xFFFF_FFFF
    return PreemptCount(
        value=value,
        preempt=value & PREEMPT_BITS,
        softirq_disabled=(value & SOFTIRQ_BITS) // SOFTIRQ_DISABLE_OFFSET,
        in_softirq=bool(value & SOFTIRQ_OFFSET),
        hardirq=(value & HARDIRQ_BITS) >> 16,
        nmi=(value & NMI_BITS) >> 20,
        need_resched=not value & NEED_RESCHED,
    )


def per_cpu_offsets() -> tuple[int, ...]:
    """__per_cpu_offset[]: where each CPU has its per-CPU variables, 0 if it has none.

    As long as the array is, whatever nr_cpu_ids says, which may be damaged. What a CPU
    that cannot be there has is BOOT_PERCPU_OFFSET, and until the areas are set up all
    have that: see arch/x86/kernel/setup_percpu.c. Raises memory.Fault.
    """
    found = _per_cpu_offset()
    none = structs.address_of("__per_cpu_load")
    return found[0], *(0 if offset == none else offset for offset in found[1:])


def per_cpu_offsets_are_lost() -> bool:
    """Is a word of __per_cpu_offset[] zero, which none ever is? Raises memory.Fault."""
    return 0 in _per_cpu_offset()


def possible_cpus() -> list[int]:
    """The numbers of the CPUs that have per-CPU variables: for_each_possible_cpu()."""
    return [cpu for cpu, offset in enumerate(per_cpu_offsets()) if offset]


def per_cpu_ptr(place: Ptr[T], cpu: int) -> Ptr[T]:
    """A CPU's own copy of a per-CPU object. Raises memory.Fault."""
    return Ptr[T](place + per_cpu_offsets()[cpu] & MASK)


def online_cpus() -> list[int]:
    """The numbers of the CPUs that run: for_each_online_cpu().

    From the mask in kernel/cpu.c. Raises memory.Fault.
    """
    place = structs.address_of("__cpu_online_mask")
    size = structs.variable_size("__cpu_online_mask")
    mask = int.from_bytes(kernel.memory().read(place, size), "little")
    return [cpu for cpu in possible_cpus() if mask >> cpu & 1]


def _per_cpu_offset() -> tuple[int, ...]:
    """The array as it is."""
    size = structs.variable_size("__per_cpu_offset")
    place = structs.address_of("__per_cpu_offset")
    return struct.unpack(f"<{size // 8}Q", kernel.memory().read(place, size))


def processors() -> list[Processor]:
    """All processors, in the order of gdb's threads. Raises memory.Fault."""
    offsets = per_cpu_offsets()
    return [_processor(thread, offsets) for thread in debugger().threads()]


def this_processor() -> Processor:
    """The selected one. Raises memory.Fault."""
    return _processor(debugger().selected_thread(), per_cpu_offsets())


def running_on(task: Ptr[TaskStruct]) -> Processor | None:
    """The processor on which a task runs, None if it runs on none.

    :param task: struct task_struct *
    :raises Fault: what it takes cannot be read
    """
    return next((cpu for cpu in processors() if cpu.current == task), None)


def _processor(number: int, offsets: tuple[int, ...]) -> Processor:
    registers = debugger().registers(number, REGISTERS)
    bases = kernel_gs_bases(
        *(registers[name] for name in ("cs", "gs_base", "k_gs_base"))
    )
    base = next((base for base in bases if base and base in offsets), None)
    if base is None:
        return Processor(number, None, 0, NULL, registers)
    current = Ptr[TaskStruct](kernel.memory().u64(base + per_cpu_place("current_task")))
    return Processor(number, offsets.index(base), base, current, registers)
