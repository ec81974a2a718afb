# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/sched.h, sched/signal.h, pid.h, cred.h and signal.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ...target.cstruct import S32, S64, U32, U64, Ptr, Raw, Struct, at

if TYPE_CHECKING:
    from .fs import FilesStruct, FsStruct
    from .mm_types import MmStruct


class TaskStruct(Struct, name="struct task_struct"):
    """A thread: include/linux/sched.h."""

    thread_cpu: Optional[U32] = at("thread_info.cpu")  # since v5.16 (bcf9033e5449)
    state: Optional[S64]  # until v5.14 (2f064a59a11f)
    state_now: Optional[U32] = at("__state")  # since v5.14 (2f064a59a11f)
    stack: Ptr[object]
    flags: U32
    cpu: Optional[U32]  # until v5.16 (bcf9033e5449)
    on_rq: S32
    mm: Ptr[MmStruct]
    active_mm: Ptr[MmStruct]
    rss_stat: Optional[Raw]  # until v6.2 (f1a7941243c1)
    exit_state: S32
    exit_code: S32
    exit_signal: S32
    personality: U32
    pid: S32
    tgid: S32
    real_parent: Ptr[TaskStruct]
    parent: Ptr[TaskStruct]
    group_leader: Ptr[TaskStruct]
    thread_pid: Ptr[Pid]
    vfork_done: Ptr[object]
    min_flt: U64
    maj_flt: U64
    cred: Ptr[Cred]
    comm: Raw
    sysvsem_undo_list: Optional[Ptr[object]] = at("sysvsem.undo_list")
    fs: Ptr[FsStruct]
    files: Ptr[FilesStruct]
    nsproxy: Ptr[object]
    signal: Ptr[SignalStruct]
    sighand: Ptr[SighandStruct]
    blocked: Raw
    pending_signals: U64 = at("pending.signal.sig[0]")
    parent_exec_id: U64
    self_exec_id: U64
    io_context: Optional[Ptr[object]]
    stack_refcount: Optional[S32] = at("stack_refcount.refs.counter")
    thread_sp: U64 = at("thread.sp")
    thread_fsbase: U64 = at("thread.fsbase")
    thread_gsbase: U64 = at("thread.gsbase")


RLIMIT_STACK = 3  # include/uapi/asm-generic/resource.h


class SignalStruct(Struct, name="struct signal_struct"):
    """What the threads of a process share: include/linux/sched/signal.h."""

    nr_threads: S32
    group_exit_code: S32
    group_exec_task: Optional[Ptr[TaskStruct]]  # since v5.17 (60700e38fb68)
    group_exit_task: Optional[Ptr[TaskStruct]]  # until v5.17 (60700e38fb68)
    flags: U32
    stack_limit: U64 = at(f"rlim[{RLIMIT_STACK}].rlim_cur")


class KSigaction(Struct, name="struct k_sigaction"):
    """What a process does with a signal: include/linux/signal_types.h."""

    sa_handler: Ptr[object] = at("sa.sa_handler")


class SighandStruct(Struct, name="struct sighand_struct"):
    """What a process does with each signal: include/linux/sched/signal.h."""


class Sigpending(Struct, name="struct sigpending"):
    """Signals that wait: include/linux/signal_types.h."""


class Sigqueue(Struct, name="struct sigqueue"):
    """A signal that waits, with its siginfo: include/linux/signal_types.h."""


class KernelSiginfo(Struct, name="struct kernel_siginfo"):
    """What comes with a signal: include/linux/signal_types.h."""

    si_signo: S32


class Cred(Struct, name="struct cred"):
    """Credentials: include/linux/cred.h."""

    uid: U32 = at("uid.val")
    euid: U32 = at("euid.val")


class Pid(Struct, name="struct pid"):
    """A number of a task in each namespace: include/linux/pid.h."""

    level: U32


class Upid(Struct, name="struct upid"):
    """A number of a task in one namespace: include/linux/pid.h."""

    nr: S32


class Rq(Struct, name="struct rq"):
    """The run queue of a CPU: kernel/sched/sched.h."""

    clock: U64
    idle: Ptr[TaskStruct]


class KernelCloneArgs(Struct, name="struct kernel_clone_args"):
    """What clone3() and its kin ask for: include/linux/sched/task.h."""

    flags: U64
    exit_signal: S32
    stack: U64
    stack_size: U64
    tls: U64
