# SPDX-License-Identifier: GPL-2.0-only
"""task_struct by theme: which members matter, and what they mean.

See include/linux/sched.h. A member whose name differs between kernels is listed
under each name; only the one that this kernel has is shown.
"""

from __future__ import annotations

from ..linux import taskflags as flags
from ..linux.kallsyms import symbol_name
from ..linux.signals import set_text, signal_name
from . import task_words as say
from .facts import Member, Shown

CAPABILITIES: Shown = {"in_hex": True}
PID = say.words(say.pid_nr)
TASK: Shown = {"decode": say.task_text}
LIST: Shown = {"decode": say.list_text}
PATH: Shown = {"decode": say.path_text}
SYMBOL = say.words(lambda address: symbol_name(address) if address else "")
PRIO = say.words(flags.prio_text)
TIME = say.words(say.time_text)
CPUS = say.words(say.cpus_text, in_hex=True)
SIGNAL = say.words(lambda number: signal_name(number) if number else "")
SIGNALS = say.words(set_text, in_hex=True)
OCTAL = say.words(lambda mask: f"0{mask:o}")

IDENTITY = (
    Member("pid", "the thread's id: gettid()"),
    Member("tgid", "the process's id: getpid()"),
    Member("comm", "the name, 15 bytes at most", say.comm_text),
    Member("group_leader", "the thread whose pid is the tgid", **TASK),
    Member("thread_pid", "its struct pid", **PID),
    Member("signal->pids[PIDTYPE_PGID]", "the process group", **PID),
    Member("signal->pids[PIDTYPE_SID]", "the session", **PID),
    Member("signal->leader", "is it the session's leader?"),
    Member("signal->tty", "the controlling terminal"),
    Member("cred", "credentials it acts with"),
    Member("real_cred", "credentials others see"),
    Member("cred->uid.val", "real user"),
    Member("cred->euid.val", "effective user"),
    Member("cred->suid.val", "saved user"),
    Member("cred->fsuid.val", "user for files"),
    Member("cred->gid.val", "real group"),
    Member("cred->egid.val", "effective group"),
    Member("cred->sgid.val", "saved group"),
    Member("cred->fsgid.val", "group for files"),
    Member("cred->cap_inheritable", "capabilities kept over exec", **CAPABILITIES),
    Member("cred->cap_permitted", "capabilities it may take", **CAPABILITIES),
    Member("cred->cap_effective", "capabilities it has", **CAPABILITIES),
    Member("cred->cap_bset", "no exec gives more than these", **CAPABILITIES),
    Member("cred->cap_ambient", "capabilities kept without a file's", **CAPABILITIES),
    Member("nsproxy", "the namespaces it is in"),
    Member("personality", "whose ways it expects", **say.words(flags.personality_text)),
    Member("self_exec_id", "grows with each exec"),
    Member("parent_exec_id", "the parent's at the time of fork"),
    Member("start_time", "when it was made, without suspend", **TIME),
    Member("start_boottime", "when it was made, since boot", **TIME),
)
STATE = (
    Member("state", "what the scheduler may do with it", say.state_text, True),
    Member("__state", "what the scheduler may do with it", say.state_text, True),
    Member("exit_state", "how far it has ended", **say.bits(flags.exit_state_names)),
    Member("exit_code", "how it ended, or what stopped it", say.exit_code_text),
    Member(
        "exit_signal",
        "what its parent gets at the end",
        **say.words(say.exit_signal_text),
    ),
    Member("pdeath_signal", "what it gets when its parent ends", **SIGNAL),
    Member("flags", "PF_*: what it is and does", **say.bits(flags.pf_names)),
    Member("atomic_flags", "PFA_*: restrictions", **say.table(flags.PFA)),
    Member("ptrace", "PT_*: traced, and how", **say.table(flags.PT)),
    Member("ptrace_message", "what the tracer asks for at an event"),
    Member(
        "jobctl",
        "JOBCTL_*: stops, and traps for the tracer",
        **say.bits(flags.jobctl_names),
    ),
    Member(
        "signal->flags", "SIGNAL_*: of the whole process", **say.table(flags.SIGNAL)
    ),
    Member("signal->group_exit_code", "how the whole process ends or stops"),
    Member("on_cpu", "does it run on a CPU?"),
    Member("on_rq", "is it in a run queue?", **say.words(say.on_rq_text)),
    Member("in_execve", "in execve()"),
    Member("in_iowait", "waits for a device"),
    Member("usage.refs.counter", "who holds this task_struct"),
)
SCHEDULING = (
    Member("policy", "the scheduling policy", **say.words(flags.policy_text)),
    Member("sched_class", "who schedules it", **SYMBOL),
    Member("prio", "the priority now", **PRIO),
    Member("normal_prio", "the priority without a borrowed one", **PRIO),
    Member("static_prio", "the priority that nice gives", **PRIO),
    Member("rt_priority", "the real-time priority, 1 to 99"),
    Member("se.load.weight", "its share of the CPU: 1,048,576 at nice 0"),
    Member("se.vruntime", "time it ran, by weight: the lowest is next"),
    Member("se.sum_exec_runtime", "time it ran", **TIME),
    Member("se.exec_start", "when its run was last accounted", **TIME),
    Member("se.on_rq", "does fair scheduling queue it?"),
    Member("rt.time_slice", "ticks left to SCHED_RR"),
    Member("utime", "time in user mode", **TIME),
    Member("stime", "time in the kernel", **TIME),
    Member("nvcsw", "switches because it waited"),
    Member("nivcsw", "switches because another had to run"),
    Member("cpu", "the CPU it runs or ran on"),
    Member("thread_info.cpu", "the CPU it runs or ran on"),
    Member("wake_cpu", "where it was to wake"),
    Member("recent_used_cpu", "where it ran lately"),
    Member("nr_cpus_allowed", "on how many CPUs it may run"),
    Member("cpus_mask", "on which", **CPUS),
    Member("sched_reset_on_fork", "children get the normal policy"),
    Member("timer_slack_ns", "how much later a timer may wake it, ns"),
)
FAMILY = (
    Member("real_parent", "who made it", **TASK),
    Member("parent", "who is told of its end: the parent or the tracer", **TASK),
    Member("children", "whom this thread made", **LIST),
    Member("sibling", "its place among the children of real_parent"),
    Member("signal->nr_threads", "how many threads the process has"),
    Member("thread_node", "its place among the threads of the process"),
    Member("ptraced", "whom it traces", **LIST),
    Member("ptrace_entry", "its place among those its tracer traces"),
    Member("ptracer_cred", "the tracer's credentials when it attached"),
    Member("vfork_done", "tells the parent of a vfork() that it may go on"),
    Member(
        "set_child_tid",
        "user: where its id is written; or a kernel thread's struct kthread",
    ),
    Member("clear_child_tid", "user: cleared at its end, wakes pthread_join()"),
    Member("pf_io_worker", "what an io_uring worker works for"),
    Member("worker_private", "a kernel thread's struct kthread"),
)
MEMORY = (
    Member("mm", "its address space; NULL for a kernel thread"),
    Member("active_mm", "the address space in the processor while it runs"),
    Member("mm->mm_users.counter", "tasks that use the address space"),
    Member("min_flt", "page faults without a device"),
    Member("maj_flt", "page faults that had to read"),
    Member("rss_stat.count", "pages not yet counted in the mm", say.counts_text),
    Member("rss_stat.events", "page faults since they were"),
    Member("vmacache.seqnum", "of the areas found last"),
    Member("pagefault_disabled", "depth of pagefault_disable()"),
    Member("nr_dirtied", "pages it made dirty"),
    Member("robust_list", "user: futexes to free at its end"),
    Member("rseq", "user: its restartable sequence"),
    Member("signal->oom_score_adj", "how soon memory shortage kills it"),
)
FILES = (
    Member("fs", "root and working directory, umask"),
    Member("fs->root", "the root directory", **PATH),
    Member("fs->pwd", "the working directory", **PATH),
    Member("fs->umask", "permissions new files do not get", **OCTAL),
    Member("fs->users", "tasks that share these"),
    Member("files", "its open files"),
    Member("files->count.counter", "tasks that share them"),
    Member("files->fdt->max_fds", "room for so many descriptors"),
    Member("files->next_fd", "the search for a free one starts here"),
    Member("io_context", "state for block devices"),
)
SIGNAL_MEMBERS = (
    Member("signal", "what the threads of a process share"),
    Member("sighand", "what it does with signals"),
    Member("pending.signal", "wait for this thread", **SIGNALS),
    Member("pending", "in order, with what they carry", say.queue_text),
    Member("signal->shared_pending.signal", "wait for any thread", **SIGNALS),
    Member("signal->shared_pending", "in order, with what they carry", say.queue_text),
    Member("blocked", "have to wait", **SIGNALS),
    Member("real_blocked", "blocked before sigtimedwait()", **SIGNALS),
    Member("saved_sigmask", "blocked again after the call", **SIGNALS),
    Member("sighand->action", "ignored", compute=say.ignored, **SIGNALS),
    Member("sighand->action", "caught by a handler", compute=say.caught, **SIGNALS),
    Member("sas_ss_sp", "user: the stack for handlers", in_hex=True),
    Member("sas_ss_size", "its size in bytes"),
    Member("last_siginfo", "the signal a tracer looks at"),
    Member("task_works", "what to do before it returns to user mode"),
    Member("restart_block.fn", "how an interrupted call goes on", **SYMBOL),
)
STACK = (
    Member("stack", "the kernel stack, its lowest address", say.stack_text),
    Member("stack_refcount.refs.counter", "who keeps the stack; 0: given back"),
    Member("stack_vm_area", "the vmalloc area that it is"),
    Member(
        "thread_info.flags",
        "TIF_*: to do before user mode",
        **say.bits(flags.tif_names),
    ),
    Member(
        "thread_info.syscall_work",
        "to do around a system call",
        **say.bits(flags.syscall_work_names),
    ),
    Member("thread_info.status", "TS_*: 32-bit calls", in_hex=True),
    Member("thread.sp", "the stack pointer while it does not run", in_hex=True),
    Member("thread.fsbase", "user: fs base, thread-local storage", in_hex=True),
    Member("thread.gsbase", "user: gs base", in_hex=True),
    Member(
        "thread.cr2",
        "the address of its last page fault that was an error",
        in_hex=True,
    ),
    Member("thread.trap_nr", "the last exception that was an error"),
    Member("thread.error_code", "and its error code", in_hex=True),
    Member("thread.virtual_dr6", "what hardware breakpoint came", in_hex=True),
    Member("thread.ptrace_dr7", "hardware breakpoints of its tracer", in_hex=True),
)
THEMES = {
    "identity": IDENTITY,
    "state and exit state": STATE,
    "scheduling": SCHEDULING,
    "family": FAMILY,
    "memory": MEMORY,
    "files": FILES,
    "signals": SIGNAL_MEMBERS,
    "stack and thread_info": STACK,
}
