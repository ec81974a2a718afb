# SPDX-License-Identifier: GPL-2.0-only
"""Bits and codes by name: of tasks, of signals, and of what programs pass to the kernel."""

from __future__ import annotations

from typing import Callable

import pytest

from lab.linux import signals, taskflags, uapi_flags
from lab.target import structs
from made_up import Guest

TASK = "struct task_struct"

# --- taskflags.py -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (0, ["TASK_RUNNING"]),
        (0x1, ["TASK_INTERRUPTIBLE"]),
        (0x402, ["TASK_UNINTERRUPTIBLE", "TASK_NOLOAD"]),
        (0x4000_0008, ["__TASK_TRACED", "0x40000000"]),
    ],
)
def test_states(value: int, names: list[str]) -> None:
    assert taskflags.state_names(value) == names


@pytest.mark.parametrize(
    ("value", "names"), [(0, ["alive"]), (0x10, ["EXIT_DEAD"]), (0x20, ["EXIT_ZOMBIE"])]
)
def test_exit_states(value: int, names: list[str]) -> None:
    assert taskflags.exit_state_names(value) == names


# What a version's include/linux/sched.h has, determined from members that came with it
V5_10: list[str] = []
V5_10_223 = ["pf_io_worker"]
V6_1 = ["worker_private"]


@pytest.mark.parametrize(
    ("members", "bit", "name"),
    [
        (V5_10, 0x1, "0x1"),
        (V5_10, 0x10, "PF_VCPU"),
        (V5_10, 0x2000_0000, "PF_IO_WORKER"),
        (V5_10_223, 0x1, "PF_VCPU"),
        (V5_10_223, 0x10, "PF_IO_WORKER"),
        (V5_10_223, 0x2000_0000, "0x20000000"),
        (V5_10_223, 0x80_0000, "PF_SWAPWRITE"),
        (V6_1, 0x1, "PF_VCPU"),
        (V6_1, 0x10, "PF_IO_WORKER"),
        (V6_1, 0x80_0000, "PF_NO_NOTIFY_SIGNAL"),
    ],
)
def test_flags_whose_meaning_changed(
    guest: Guest, members: list[str], bit: int, name: str
) -> None:
    for member in members:
        guest.has_also(TASK, member, "void *")
    assert taskflags.pf_names(bit) == [name]


def test_a_flag_that_changed_with_state(guest: Guest) -> None:
    old = guest.has(TASK, "state")
    expected = "PF_MEMALLOC_NOCMA" if old else "PF_MEMALLOC_PIN"
    assert taskflags.pf_names(0x1020_0000) == ["PF_KTHREAD", expected]


def test_flags_of_thread_info(guest: Guest) -> None:
    """System calls have a word of their own since v5.11."""
    old = not guest.has("struct thread_info", "syscall_work")
    found = taskflags.tif_names(1 << 0 | 1 << 2 | 1 << 8 | 1 << 17)
    if old:
        assert found == ["SYSCALL_TRACE", "SIGPENDING", "SECCOMP", "IA32"]
    else:
        assert found == ["0x1", "SIGPENDING", "0x100", "NOTIFY_SIGNAL"]


def test_the_work_at_system_calls(new: Guest) -> None:
    found = structs.enumerators("enum syscall_work_bit")
    value = 1 << found["SYSCALL_WORK_BIT_SECCOMP"] | 1 << 40
    assert taskflags.syscall_work_names(value) == ["SECCOMP", "0x10000000000"]


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (taskflags.policy_text, 0, "SCHED_NORMAL"),
        (taskflags.policy_text, 4, ""),
        (taskflags.policy_text, 6, "SCHED_DEADLINE"),
        (taskflags.jobctl_names, 0, []),
        (taskflags.jobctl_names, 1 << 17 | 19, ["SIGSTOP", "STOP_PENDING"]),
        (taskflags.jobctl_names, 1 << 16, ["STOP_DEQUEUED"]),
        (taskflags.personality_text, 0, "PER_LINUX"),
        (taskflags.personality_text, 0x4_0008, "PER_0x8 ADDR_NO_RANDOMIZE"),
        (taskflags.exit_text, 0, "exit status 0"),
        (taskflags.exit_text, 0x1_FF00, "exit status 255"),
        (taskflags.exit_text, 9, "killed by SIGKILL"),
        (taskflags.exit_text, 0x8B, "killed by SIGSEGV, core dumped"),
        (taskflags.stop_text, 19, "stopped by SIGSTOP"),
        (taskflags.stop_text, 0x85, "stopped by SIGTRAP at a system call"),
        (taskflags.stop_text, 0x405, "stopped by SIGTRAP at PTRACE_EVENT_EXEC"),
        (taskflags.stop_text, 0x8013, "stopped by SIGSTOP at PTRACE_EVENT_STOP"),
        (taskflags.prio_text, -1, "deadline"),
        (taskflags.prio_text, 0, "real time 99"),
        (taskflags.prio_text, 99, "real time 0"),
        (taskflags.prio_text, 100, "nice -20"),
        (taskflags.prio_text, 139, "nice 19"),
    ],
)
def test_codes_in_words(
    function: Callable[[int], str | list[str]], value: int, expected: str | list[str]
) -> None:
    assert function(value) == expected


@pytest.mark.parametrize(
    "table",
    [
        *(taskflags.STATE, taskflags.PF, taskflags.PT, taskflags.JOBCTL, taskflags.PFA),
        *(taskflags.SIGNAL, taskflags.PERSONALITY),
        *(uapi_flags.PROT, uapi_flags.MAP, uapi_flags.MREMAP, uapi_flags.CLONE),
        uapi_flags.WAIT,
    ],
)
def test_each_flag_is_one_bit(table: dict[int, str]) -> None:
    assert all(bit.bit_count() == 1 for bit in table)
    assert len(set(table.values())) == len(table)


def test_all_bits_of_jobctl() -> None:
    """From bit 16 on: include/linux/sched/jobctl.h."""
    assert taskflags.jobctl_names(0x0FFF_0000) == [
        *("STOP_DEQUEUED", "STOP_PENDING", "STOP_CONSUME", "TRAP_STOP", "TRAP_NOTIFY"),
        *("TRAPPING", "LISTENING", "TRAP_FREEZE", "PTRACE_FROZEN", "0x2000000"),
        *("STOPPED", "TRACED"),
    ]


def test_names_of_bits() -> None:
    assert taskflags.names(0, {1: "one"}) == []
    assert taskflags.names(0x8000_0001, {1: "one"}) == ["one", "0x80000000"]
    assert taskflags.names(1 << 63, {1 << 63: "top"}) == ["top"]


# --- signals.py ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "signal 0"),
        (1, "SIGHUP"),
        (31, "SIGSYS"),
        (32, "signal 32"),
        (33, "signal 33"),
        (34, "SIGRTMIN"),
        (35, "SIGRTMIN+1"),
        (64, "SIGRTMIN+30"),
        (65, "signal 65"),
    ],
)
def test_names_of_signals(number: int, name: str) -> None:
    assert signals.signal_name(number) == name


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (0, ""),
        (0b101, "SIGHUP SIGQUIT"),
        (1 << 63, "SIGRTMIN+30"),
        ((1 << 64) - 1, "all"),
        (~(1 << 8) & (1 << 64) - 1, "all but SIGKILL"),
    ],
)
def test_sets_of_signals(mask: int, text: str) -> None:
    assert signals.set_text(mask) == text


def test_half_a_set_is_told_by_what_is_not_in_it() -> None:
    assert signals.set_text((1 << 32) - 1).startswith("all but signal 33")
    assert signals.set_text((1 << 31) - 1).startswith("SIGHUP SIGINT")


def test_what_a_process_ignores_and_catches(guest: Guest) -> None:
    sighand = guest.put("struct sighand_struct")
    place = sighand + structs.offsetof("struct sighand_struct", "action")
    for number, handler in ((1, 1), (2, 0x40_1000), (64, 2)):
        action = place + (number - 1) * structs.sizeof("struct k_sigaction")
        guest.put("struct k_sigaction", {"sa.sa_handler": handler}, action)
    found = signals.collect_sigign_sigcatch(sighand)
    assert found == (1 << 0, 1 << 1 | 1 << 63)


def test_signals_that_wait(guest: Guest) -> None:
    pending = guest.put("struct sigpending")
    head = pending + structs.offsetof("struct sigpending", "list")
    waiting = [
        guest.put("struct sigqueue", {"info.si_signo": number}) for number in (17, 10)
    ]
    inside = structs.offsetof("struct sigqueue", "list")
    guest.link(head, *(entry + inside for entry in waiting))
    assert signals.queued(pending) == [17, 10]


# --- uapi_flags.py ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "parameter", "value", "text"),
    [
        ("mmap", "prot", 0, "PROT_NONE"),
        ("mmap", "prot", 7, "PROT_READ|PROT_WRITE|PROT_EXEC"),
        ("mprotect", "prot", 0x100_0008, "PROT_GROWSDOWN|0x8"),
        ("mmap", "flags", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
        ("mmap", "flags", 0x3, "MAP_SHARED_VALIDATE"),
        ("mmap", "flags", 0x20, "MAP_ANONYMOUS"),
        ("mmap", "flags", 0x8000_0011, "MAP_SHARED|MAP_FIXED|0x80000000"),
        ("mmap", "flags", 0, "0"),
        ("mremap", "flags", 0, "0"),
        ("mremap", "flags", 3, "MREMAP_MAYMOVE|MREMAP_FIXED"),
        ("open", "flags", 0o102, "O_RDWR|O_CREAT"),
        ("openat", "flags", 0xFFFF_FFFF_0000_0000, "O_RDONLY"),
        ("wait4", "options", 1, "WNOHANG"),
        ("wait4", "options", 2, "WUNTRACED"),
        ("waitid", "options", 6, "WSTOPPED|WEXITED"),
        ("kill", "sig", 15, "SIGTERM"),
        ("rseq", "sig", 0x53053053, "0x53053053"),
        ("clone", "clone_flags", 0, "0"),
        ("clone", "clone_flags", 17, "SIGCHLD"),
        ("clone", "clone_flags", 0x4111, "CLONE_VM|CLONE_VFORK|SIGCHLD"),
        ("clone", "clone_flags", 1 << 32 | 0x100, "CLONE_VM"),
        ("unshare", "unshare_flags", 0x2_0000, "CLONE_NEWNS"),
        ("open", "mode", 0o644, "0644"),
        ("umask", "mask", 0, "0"),
    ],
)
def test_arguments_by_name(call: str, parameter: str, value: int, text: str) -> None:
    names = uapi_flags.names(call, parameter)
    assert names is not None and names(value) == text


def test_arguments_that_are_plain_numbers() -> None:
    assert uapi_flags.names("access", "mode") is None
    assert uapi_flags.names("read", "count") is None


def test_flags_that_only_clone3_has() -> None:
    assert uapi_flags.clone_text(3 << 32) == "CLONE_CLEAR_SIGHAND|CLONE_INTO_CGROUP"
