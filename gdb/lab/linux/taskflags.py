# SPDX-License-Identifier: GPL-2.0-only
"""Names of the bits and codes in task_struct. Macros, so not in the debug info.

Where a bit changed its meaning between 5.10 and 6.4, a member of task_struct or
thread_info that came or went about then tells which one is meant.
"""

from __future__ import annotations

from ..target import structs
from .signals import signal_name

STATE = {  # include/linux/sched.h
    **{0x1: "TASK_INTERRUPTIBLE", 0x2: "TASK_UNINTERRUPTIBLE"},
    **{0x4: "__TASK_STOPPED", 0x8: "__TASK_TRACED"},
    **{0x10: "EXIT_DEAD", 0x20: "EXIT_ZOMBIE", 0x40: "TASK_PARKED"},
    **{0x80: "TASK_DEAD", 0x100: "TASK_WAKEKILL", 0x200: "TASK_WAKING"},
    **{0x400: "TASK_NOLOAD", 0x800: "TASK_NEW", 0x1000: "TASK_RTLOCK_WAIT"},
    **{0x2000: "TASK_FREEZABLE", 0x4000: "__TASK_FREEZABLE_UNSAFE"},
    **{0x8000: "TASK_FROZEN"},
}
PF = {  # include/linux/sched.h
    **{0x1: "PF_VCPU", 0x2: "PF_IDLE", 0x4: "PF_EXITING", 0x8: "PF_POSTCOREDUMP"},
    **{0x10: "PF_IO_WORKER", 0x20: "PF_WQ_WORKER", 0x40: "PF_FORKNOEXEC"},
    **{0x80: "PF_MCE_PROCESS", 0x100: "PF_SUPERPRIV", 0x200: "PF_DUMPCORE"},
    **{0x400: "PF_SIGNALED", 0x800: "PF_MEMALLOC", 0x1000: "PF_NPROC_EXCEEDED"},
    **{0x2000: "PF_USED_MATH", 0x4000: "PF_USER_WORKER", 0x8000: "PF_NOFREEZE"},
    **{0x1_0000: "PF_FROZEN", 0x2_0000: "PF_KSWAPD"},
    **{0x4_0000: "PF_MEMALLOC_NOFS", 0x8_0000: "PF_MEMALLOC_NOIO"},
    **{0x10_0000: "PF_LOCAL_THROTTLE", 0x20_0000: "PF_KTHREAD"},
    **{0x40_0000: "PF_RANDOMIZE", 0x80_0000: "PF_NO_NOTIFY_SIGNAL"},
    **{0x400_0000: "PF_NO_SETAFFINITY", 0x800_0000: "PF_MCE_EARLY"},
    **{0x1000_0000: "PF_MEMALLOC_PIN", 0x4000_0000: "PF_FREEZER_SKIP"},
    **{0x8000_0000: "PF_SUSPEND_TASK"},
}
# include/linux/ptrace.h: from bit 3 on the tracer's options
PT = {
    **{0x1: "PT_PTRACED", 0x8: "PT_TRACESYSGOOD", 0x10: "PT_TRACE_FORK"},
    **{0x20: "PT_TRACE_VFORK", 0x40: "PT_TRACE_CLONE", 0x80: "PT_TRACE_EXEC"},
    **{0x100: "PT_TRACE_VFORK_DONE", 0x200: "PT_TRACE_EXIT"},
    **{0x400: "PT_TRACE_SECCOMP", 0x1_0000: "PT_SEIZED"},
    **{0x80_0000: "PT_EXITKILL", 0x100_0000: "PT_SUSPEND_SECCOMP"},
}
JOBCTL_STOP_SIGMASK = 0xFFFF  # include/linux/sched/jobctl.h: the signal of a stop
JOBCTL = {
    **{1 << 16: "STOP_DEQUEUED", 1 << 17: "STOP_PENDING", 1 << 18: "STOP_CONSUME"},
    **{1 << 19: "TRAP_STOP", 1 << 20: "TRAP_NOTIFY", 1 << 21: "TRAPPING"},
    **{1 << 22: "LISTENING", 1 << 23: "TRAP_FREEZE", 1 << 24: "PTRACE_FROZEN"},
    **{1 << 26: "STOPPED", 1 << 27: "TRACED"},
}
PFA = {  # include/linux/sched.h
    **{1 << 0: "NO_NEW_PRIVS", 1 << 1: "SPREAD_PAGE", 1 << 2: "SPREAD_SLAB"},
    **{1 << 3: "SPEC_SSB_DISABLE", 1 << 4: "SPEC_SSB_FORCE_DISABLE"},
    **{1 << 5: "SPEC_IB_DISABLE", 1 << 6: "SPEC_IB_FORCE_DISABLE"},
    **{1 << 7: "SPEC_SSB_NOEXEC"},
}
SIGNAL = {  # include/linux/sched/signal.h
    **{0x1: "STOP_STOPPED", 0x2: "STOP_CONTINUED", 0x4: "GROUP_EXIT"},
    **{0x8: "GROUP_COREDUMP", 0x10: "CLD_STOPPED", 0x20: "CLD_CONTINUED"},
    **{0x40: "UNKILLABLE"},
}
PERSONALITY = {  # include/uapi/linux/personality.h, above the lowest byte
    **{0x2_0000: "UNAME26", 0x4_0000: "ADDR_NO_RANDOMIZE"},
    **{0x8_0000: "FDPIC_FUNCPTRS", 0x10_0000: "MMAP_PAGE_ZERO"},
    **{0x20_0000: "ADDR_COMPAT_LAYOUT", 0x40_0000: "READ_IMPLIES_EXEC"},
    **{0x80_0000: "ADDR_LIMIT_32BIT", 0x100_0000: "SHORT_INODE"},
    **{0x200_0000: "WHOLE_SECONDS", 0x400_0000: "STICKY_TIMEOUTS"},
    **{0x800_0000: "ADDR_LIMIT_3GB"},
}
TIF = {  # arch/x86/include/asm/thread_info.h
    **{1: "NOTIFY_RESUME", 2: "SIGPENDING", 3: "NEED_RESCHED", 4: "SINGLESTEP"},
    **{5: "SSBD", 9: "SPEC_IB", 11: "USER_RETURN_NOTIFY", 12: "UPROBE"},
    **{13: "PATCH_PENDING", 14: "NEED_FPU_LOAD", 15: "NOCPUID", 16: "NOTSC"},
    **{20: "MEMDIE", 21: "POLLING_NRFLAG", 22: "IO_BITMAP", 24: "FORCED_TF"},
    **{25: "BLOCKSTEP", 27: "LAZY_MMU_UPDATES", 29: "ADDR32"},
}
# v5.11 moved what concerns system calls into thread_info.syscall_work (3136b93c3fb2)
TIF_BEFORE_SYSCALL_WORK = {
    **{0: "SYSCALL_TRACE", 6: "SYSCALL_EMU", 7: "SYSCALL_AUDIT", 8: "SECCOMP"},
    **{10: "SPEC_FORCE_UPDATE", 17: "IA32", 18: "SLD", 19: "NOTIFY_SIGNAL"},
    **{28: "SYSCALL_TRACEPOINT", 30: "X32"},
}
TIF_SINCE_SYSCALL_WORK = {
    **{10: "SPEC_L1D_FLUSH", 17: "NOTIFY_SIGNAL", 23: "SPEC_FORCE_UPDATE"}
}
POLICY = {  # include/uapi/linux/sched.h
    **{0: "SCHED_NORMAL", 1: "SCHED_FIFO", 2: "SCHED_RR", 3: "SCHED_BATCH"},
    **{5: "SCHED_IDLE", 6: "SCHED_DEADLINE"},
}
EVENTS = {  # include/uapi/linux/ptrace.h
    **{1: "FORK", 2: "VFORK", 3: "CLONE", 4: "EXEC", 5: "VFORK_DONE", 6: "EXIT"},
    **{7: "SECCOMP", 128: "STOP"},
}
MAX_RT_PRIO = 100  # include/linux/sched/prio.h
DEFAULT_PRIO = 120


def names(value: int, table: dict[int, str]) -> list[str]:
    """The names of the bits that are set; a bit without a name in hex."""
    bits = [1 << bit for bit in range(value.bit_length()) if value >> bit & 1]
    return [table.get(bit, f"{bit:#x}") for bit in bits]


def state_names(state: int) -> list[str]:
    """The bits of task_struct.__state."""
    return names(state, STATE) or ["TASK_RUNNING"]


def exit_state_names(state: int) -> list[str]:
    """The bits of task_struct.exit_state, none while it lives."""
    return names(state, STATE) or ["alive"]


def policy_text(policy: int) -> str:
    """task_struct.policy by its name."""
    return POLICY.get(policy, "")


def pf_names(flags: int) -> list[str]:
    """The bits of task_struct.flags."""
    table = dict(PF)
    if not _has("pf_io_worker") and not _has("worker_private"):
        # v5.12 moved both, when I/O workers became tasks of their process
        table |= {0x10: "PF_VCPU", 0x2000_0000: table.pop(0x10)}
        del table[0x1]
    if not _has("worker_private"):
        table[0x80_0000] = "PF_SWAPWRITE"  # until v5.18
    if not _has("__state"):
        table[0x1000_0000] = "PF_MEMALLOC_NOCMA"  # until v5.13 (1a08ae36cf8b)
    return names(flags, table)


def _has(member: str) -> bool:
    return structs.has_member("struct task_struct", member)


def tif_names(flags: int) -> list[str]:
    """The bits of thread_info.flags."""
    new = structs.has_member("struct thread_info", "syscall_work")
    rest = TIF_SINCE_SYSCALL_WORK if new else TIF_BEFORE_SYSCALL_WORK
    return names(flags, {1 << bit: name for bit, name in (TIF | rest).items()})


def syscall_work_names(work: int) -> list[str]:
    """The bits of thread_info.syscall_work: enum syscall_work_bit."""
    prefix = "SYSCALL_WORK_BIT_"
    found = structs.enumerators("enum syscall_work_bit")
    table = {1 << bit: name.removeprefix(prefix) for name, bit in found.items()}
    return names(work, table)


def jobctl_names(jobctl: int) -> list[str]:
    """The bits of task_struct.jobctl, and the signal that stops the task."""
    stop = jobctl & JOBCTL_STOP_SIGMASK
    return ([signal_name(stop)] if stop else []) + names(jobctl & ~stop, JOBCTL)


def personality_text(personality: int) -> str:
    """task_struct.personality: which system's ways the task expects."""
    kind = personality & 0xFF
    flags = names(personality & ~0xFF, PERSONALITY)
    return " ".join([f"PER_{kind:#x}" if kind else "PER_LINUX", *flags])


def exit_text(code: int) -> str:
    """What the wait status of a task that has ended tells: see wait(2)."""
    if not code & 0x7F:
        return f"exit status {code >> 8 & 0xFF}"
    core = ", core dumped" if code & 0x80 else ""
    return f"killed by {signal_name(code & 0x7F)}{core}"


def stop_text(code: int) -> str:
    """What exit_code means for a stopped task: see ptrace(2)."""
    event = EVENTS.get(code >> 8, "")
    text = f"stopped by {signal_name(code & 0x7F)}"
    if code & 0x80:
        text += " at a system call"
    return text + (f" at PTRACE_EVENT_{event}" if event else "")


def prio_text(prio: int) -> str:
    """A priority of the scheduler: 0 to 99 real time, 100 to 139 nice -20 to 19."""
    if prio < 0:
        return "deadline"
    if prio < MAX_RT_PRIO:
        return f"real time {MAX_RT_PRIO - 1 - prio}"
    return f"nice {prio - DEFAULT_PRIO}"
