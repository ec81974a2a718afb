# SPDX-License-Identifier: GPL-2.0-only
"""Tasks of a made-up guest: what they are, which run where, and what they count."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from tasks import SIGNAL, TASK, Tasks

import made_up
from lab.linux import process, processors, relatives, rss, task, timekeeping
from lab.target import structs
from lab.target.layout import Layout
from lab.target.memory import Broken, Fault
from made_up import PAGE_OFFSET, Guest

USER_CS, KERNEL_CS = 0x33, 0x10
PF_EXITING, PF_KTHREAD = 0x4, 0x20_0000
MM = 0xFFFF_8880_0000_1000


@pytest.fixture
def tasks(guest: Guest) -> Tasks:
    """Tasks, at first init_task alone."""
    return Tasks(guest)


# --- task.py ----------------------------------------------------------------------------


def test_all_tasks(tasks: Tasks) -> None:
    first, second = tasks.process(1), tasks.process(7)
    third = tasks.thread(first, 2)
    assert list(task.for_each_process()) == [first, second]
    assert list(task.for_each_thread(third)) == [first, third]
    assert list(task.for_each_process_thread()) == [first, third, second]
    assert [task.find_task_by_pid(pid) for pid in (0, 1, 2, 3, 7)] == [
        *(tasks.init, first, third, None, second),
    ]


def test_a_task(tasks: Tasks) -> None:
    made = tasks.process(7, comm=b"two\nwords\0rest", mm=MM)
    found = task.task(made)
    assert (found.address, found.pid, found.tgid, found.mm) == (made, 7, 7, MM)
    assert found.comm == r"two\nwords"


def test_the_number_in_its_own_namespace(tasks: Tasks) -> None:
    guest = tasks.guest
    inside = structs.offsetof("struct pid", "numbers")
    pid = guest.room(inside + 3 * structs.sizeof("struct upid"))
    guest.put("struct pid", {"level": 1}, pid)
    for number, nr in enumerate((70, 5, 99)):
        place = pid + inside + number * structs.sizeof("struct upid")
        guest.put("struct upid", {"nr": nr}, place)
    assert task.task_pid_vnr(tasks.process(70, thread_pid=pid)) == 5


def test_threads_that_live(tasks: Tasks) -> None:
    leader = tasks.process(1, exit_state=0x20)
    other = tasks.thread(leader, 2)
    assert task.has_exited(leader) and not task.has_exited(other)
    assert task.living_threads(leader) == [other]


def test_the_memory_of_a_process_whose_leader_has_ended(tasks: Tasks) -> None:
    leader = tasks.process(1, exit_state=0x20)
    assert task.with_memory(leader) is None
    other = tasks.thread(leader, 2, mm=MM)
    found = task.with_memory(leader)
    assert found is not None and (found.address, found.mm) == (other, MM)
    own = task.with_memory(other)
    assert own is not None and own.address == other
    third = tasks.thread(leader, 3, mm=MM)
    own = task.with_memory(third)
    assert own is not None and own.address == third


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"flags": PF_KTHREAD}, "is a kernel thread"),
        ({"exit_state": 0x20, "flags": PF_EXITING}, "has ended"),
        ({"flags": PF_EXITING}, "is ending"),
        ({}, "is damaged"),
    ],
)
def test_why_there_is_no_memory(
    tasks: Tasks, members: dict[str, int], why: str
) -> None:
    assert task.why_no_memory(tasks.process(1, **members)) == why


def test_whose_root_names_start_from(tasks: Tasks) -> None:
    """It is the root of the first task that has not ended, init_task's if there is none."""
    inside = structs.offsetof("struct fs_struct", "root")
    fs = [tasks.guest.put("struct fs_struct") for _ in range(3)]
    tasks.guest.set(TASK, tasks.init, "fs", fs[0])
    leader = tasks.process(1)
    assert task.onlooker_root() == fs[0] + inside
    tasks.process(7, fs=fs[2])
    assert task.onlooker_root() == fs[2] + inside
    tasks.thread(leader, 2, fs=fs[1])
    assert task.onlooker_root() == fs[1] + inside


def test_the_stopped_cpu(tasks: Tasks) -> None:
    guest = tasks.guest
    area = guest.per_cpu_areas()[0]
    guest.processor(gs_base=area)
    guest.per_cpu(area, "current_task", 0x1234)
    guest.per_cpu(area, "cpu_number", 0x9999_0000_0000 | 3)
    assert task.this_cpu_base() == area
    assert task.get_current() == 0x1234 and task.smp_processor_id() == 3


def test_variables_that_moved_into_pcpu_hot(tasks: Tasks) -> None:
    guest = tasks.guest
    guest.layout._types["struct pcpu_hot"] = {
        "kind": "struct",
        "size": 16,
        "fields": {"preempt_count": [64, 0, "int"]},
    }
    known = guest.layout.address_of("__preempt_count")
    assert task.per_cpu_place("preempt_count", "__preempt_count") == known
    hot = guest.symbol("pcpu_hot")
    assert task.per_cpu_place("preempt_count", "__preempt_count") == hot + 8


# --- processors.py -------------------------------------------------------------------------


def test_where_cpus_have_their_variables(guest: Guest) -> None:
    first, second = guest.per_cpu_areas(2)
    assert processors.per_cpu_offsets() == (first, second, 0, 0, 0, 0, 0, 0)
    assert not processors.per_cpu_offsets_are_lost()
    place = guest.layout.address_of("__per_cpu_offset")
    guest.write(place + 8, bytes(8))
    assert processors.per_cpu_offsets_are_lost()


def test_the_first_cpu_before_the_areas_are_set_up(guest: Guest) -> None:
    """All have BOOT_PERCPU_OFFSET, which is __per_cpu_load; the first CPU uses it."""
    guest.per_cpu_areas(0)
    none = guest.layout.address_of("__per_cpu_load")
    assert processors.per_cpu_offsets() == (none, 0, 0, 0, 0, 0, 0, 0)


def test_processors_and_what_they_run(guest: Guest) -> None:
    first, second = guest.per_cpu_areas(2)
    guest.per_cpu(first, "current_task", 0x1000)
    guest.per_cpu(second, "current_task", 0x2000)
    guest.processor(gs_base=second, cs=KERNEL_CS, rip=0x1234)
    guest.processor(gs_base=0x7FFF_0000, k_gs_base=first, cs=USER_CS)
    guest.processor(gs_base=0x7FFF_0000, cs=USER_CS)
    found = processors.processors()
    assert [cpu.thread for cpu in found] == [1, 2, 3]
    assert [cpu.cpu for cpu in found] == [1, 0, None]
    assert [cpu.current for cpu in found] == [0x2000, 0x1000, 0]
    assert [cpu.in_user_mode for cpu in found] == [False, True, True]
    assert found[0].ip == 0x1234
    assert processors.this_processor() == found[0]
    assert processors.running_on(0x1000) == found[1]
    assert processors.running_on(0x3000) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0x8000_0000, (0, 0, False, 0, 0, False, "process")),
        (0, (0, 0, False, 0, 0, True, "process")),
        (0x8000_0002, (2, 0, False, 0, 0, False, "process")),
        (0x8000_0200, (0, 1, False, 0, 0, False, "process")),
        (0x8000_0100, (0, 0, True, 0, 0, False, "softirq")),
        (0x8000_0700, (0, 3, True, 0, 0, False, "softirq")),
        (0x8001_0100, (0, 0, True, 1, 0, False, "hardirq")),
        (0x801F_0001, (1, 0, False, 15, 1, False, "NMI")),
    ],
)
def test_a_preempt_count(guest: Guest, value: int, expected: tuple[Any, ...]) -> None:
    """The bits of include/linux/preempt.h."""
    area = guest.per_cpu_areas(2)[1]
    guest.per_cpu(area, "__preempt_count", 0xFFFF_FFFF_0000_0000 | value)
    found = processors.preempt_count(1)
    assert found.value == value
    assert expected == (
        *(found.preempt, found.softirq_disabled, found.in_softirq),
        *(found.hardirq, found.nmi, found.need_resched, found.context),
    )


def test_the_latest_clock_of_all_cpus(guest: Guest) -> None:
    for area, clock in zip(guest.per_cpu_areas(3), (5, 9, 7)):
        guest.put("struct rq", {"clock": clock}, area + structs.address_of("runqueues"))
    assert timekeeping.guest_time() == 9


def test_no_cpu_has_a_clock(guest: Guest) -> None:
    guest.write(guest.layout.address_of("__per_cpu_offset"), bytes(64))
    with pytest.raises(Fault, match="no CPU"):
        timekeeping.guest_time()


# --- process.py ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "exit_state", "letter"),
    [
        (0, 0, "R"),
        (0x1, 0, "S"),
        (0x2, 0, "D"),
        (0x4, 0, "T"),
        (0x8, 0, "t"),
        (0x80, 0x10, "X"),
        (0x80, 0x20, "Z"),
        (0x40, 0, "P"),
        (0x402, 0, "I"),
        (0x2402, 0, "I"),
        (0x400, 0, "R"),
        (0x102, 0, "D"),
        (0x1000, 0, "D"),
        (0x8000, 0, "D"),
        (0x2001, 0, "S"),
    ],
)
def test_letters_of_states(state: int, exit_state: int, letter: str) -> None:
    """Like task_state_to_char()."""
    assert process.task_state_to_char(state, exit_state) == letter


def test_a_process_as_ps_shows_it(tasks: Tasks) -> None:
    guest = tasks.guest
    old = guest.has(TASK, "state")
    members = {"state" if old else "__state": 2, "cpu" if old else "thread_info.cpu": 3}
    cred = guest.put("struct cred", {"uid.val": 1000, "euid.val": 0})
    parent = tasks.process(5)
    thread = tasks.thread(parent, 6)
    made = tasks.process(7, parent=thread, comm=b"sh", cred=cred, **members)
    found = process.process(made)
    assert (found.pid, found.tgid, found.ppid) == (7, 7, 5)
    assert (found.uid, found.euid, found.state, found.cpu) == (1000, 0, "D", 3)
    assert (found.threads, found.name) == (1, "sh")
    assert process.process(thread).threads == 2
    kernel = process.process(tasks.process(8, comm=b"kthreadd", flags=PF_KTHREAD))
    assert kernel.is_kernel_thread and kernel.name == "[kthreadd]"


def test_processes_and_threads(tasks: Tasks) -> None:
    areas = tasks.guest.per_cpu_areas(2)
    place = structs.address_of("runqueues")
    tasks.guest.put("struct rq", {"idle": tasks.init}, areas[0] + place)
    leader = tasks.process(1)
    tasks.thread(leader, 2)
    assert [found.pid for found in process.processes()] == [1]
    assert [found.pid for found in process.threads()] == [0, 1, 2]


def test_an_idle_task_that_is_not_found(tasks: Tasks) -> None:
    """All others are yielded before the error."""
    tasks.guest.per_cpu_areas(1)
    place = tasks.guest.layout.address_of("__per_cpu_offset")
    tasks.guest.write(place + 8, bytes(8))
    tasks.process(1)
    seen = []
    with pytest.raises(Broken, match="__per_cpu_offset has a zero"):
        for found in process.threads():
            seen.append(found.pid)
    assert seen == [1]


def test_a_task_that_cannot_be_read(tasks: Tasks) -> None:
    tasks.process(1, cred=0xDEAD_0000_0000)
    with pytest.raises(Broken, match="the task at"):
        list(process.processes())


def test_a_family(tasks: Tasks) -> None:
    first = tasks.process(1)
    tasks.process(2)
    thread = tasks.thread(first, 9)
    third = tasks.process(3, parent=first)
    tasks.process(4, parent=thread)
    tasks.process(5, parent=third)
    shown = [(member.head.pid, member.depth) for member in process.whole_family()]
    assert shown == [(0, 0), (1, 1), (3, 2), (5, 3), (4, 2), (2, 1)]


def test_a_family_in_which_someone_comes_again(tasks: Tasks) -> None:
    first = tasks.process(1)
    second = tasks.process(2, parent=first)
    head = second + structs.offsetof(TASK, "children")
    tasks.guest.link(head, first + structs.offsetof(TASK, "sibling"))
    found = process.family_of(first)
    assert [member.head.pid for member in found] == [1, 2]
    assert "is in the tree already" in found[1].broken and not found[0].broken


# --- relatives.py ------------------------------------------------------------------------------


def test_names_of_tasks(tasks: Tasks) -> None:
    leader = tasks.process(41, comm=b"sh")
    thread = tasks.thread(leader, 42, comm=b"worker", group_leader=leader)
    assert relatives.who(thread) == "worker 42"
    assert relatives.process_name(thread) == "sh 41"


def test_whose_memory_it_is(tasks: Tasks) -> None:
    """The eldest process that runs in it, whichever process has it from that one."""
    tasks.process(1, mm=MM + 64)
    eldest = tasks.process(2, exit_state=0x20)
    tasks.thread(eldest, 3, mm=MM)
    other = tasks.process(4, mm=MM)
    assert relatives.owner_of_memory(task.task(other)) == 2
    alone = tasks.process(5, mm=MM + 128)
    assert relatives.owner_of_memory(task.task(alone)) == 5


def test_other_threads_that_are_alive(tasks: Tasks) -> None:
    leader = tasks.process(1)
    assert relatives.thread_group_empty(leader)
    thread = tasks.thread(leader, 2)
    tasks.thread(leader, 3, exit_state=0x20)
    assert not relatives.thread_group_empty(leader)
    assert list(relatives.other_threads(task.task(leader))) == [(thread, 2)]
    assert list(relatives.other_threads(task.task(thread))) == [(leader, 1)]


@pytest.mark.parametrize(("flags", "is_init"), [(0x40, True), (0x3F, False)])
def test_the_first_process_of_a_namespace(
    tasks: Tasks, flags: int, is_init: bool
) -> None:
    made = tasks.process(1)
    signal = relatives.task_struct(made).signal
    tasks.guest.set(SIGNAL, signal, "flags", flags)
    assert relatives.is_init(made) == is_init


@pytest.mark.parametrize(("flags", "status"), [(0, 0x100), (0x4, 0x200), (0x8, 0x100)])
def test_the_status_of_a_process_that_ended(
    tasks: Tasks, flags: int, status: int
) -> None:
    """The group's if exit_group() or a signal ended it, else the leader's own."""
    made = tasks.process(1, exit_code=0x100)
    signal = relatives.task_struct(made).signal
    tasks.guest.put(SIGNAL, {"flags": flags, "group_exit_code": 0x200}, signal)
    assert relatives.status_of(made) == status


def test_flags_of_tasks(tasks: Tasks) -> None:
    ending = tasks.process(1, flags=PF_EXITING)
    kernel = tasks.process(2, flags=PF_KTHREAD)
    assert relatives.is_exiting(ending) and not relatives.is_exiting(kernel)
    assert relatives.is_kernel_thread(kernel)
    assert not relatives.is_kernel_thread(ending)


# --- rss.py -------------------------------------------------------------------------------------

# include/linux/mm_types_task.h
COUNTERS = {"MM_FILEPAGES": 0, "MM_ANONPAGES": 1, "MM_SWAPENTS": 2, "MM_SHMEMPAGES": 3}


def test_what_a_task_has_counted_and_not_added(tasks: Tasks) -> None:
    guest = tasks.guest
    guest.layout.constants |= COUNTERS
    mm = guest.put("struct mm_struct", {"rss_stat": struct.pack("<4q", 10, 20, -1, 40)})
    first = tasks.process(1, rss_stat=_pending(guest, 1, 2, 3, 4))
    second = tasks.process(2, rss_stat=_pending(guest, 10, -20, 30, 40))
    assert [
        (counter.kind, counter.counted, counter.pending, counter.pages)
        for counter in rss.rss_stat(mm, [first, second])
    ] == [
        ("file", 10, 11, 21),
        ("anon", 20, -18, 2),
        ("shmem", 40, 44, 84),
        ("swap", -1, 33, 32),
    ]
    del guest.layout._types[TASK]["fields"]["rss_stat"]  # without SPLIT_RSS_COUNTING
    structs.forget()
    assert [counter.pending for counter in rss.rss_stat(mm, [first, second])] == [0] * 4


def _pending(guest: Guest, *counts: int) -> bytes:
    """Make a struct task_rss_stat."""
    inside = structs.offsetof("struct task_rss_stat", "count")
    return bytes(inside) + struct.pack("<4i", *counts)


def test_what_cpus_have_counted_and_not_added(tmp_path: Path) -> None:
    """Since v6.2 (f1a7941243c1) each counter is a percpu_counter."""
    data = json.loads(made_up.LAYOUTS["6.1"].read_text())
    array = "struct percpu_counter [4]"
    size = data["types"]["struct percpu_counter"]["size"]
    data["types"][array] = {
        **{"kind": "array", "size": 4 * size, "count": 4},
        "element": "struct percpu_counter",
    }
    data["types"]["struct mm_struct"]["fields"] |= {"rss_stat": [8 * 8, 0, array]}
    # mm_count and others, which the array now overlaps, are not read here
    del data["types"][TASK]["fields"]["rss_stat"]
    data["constants"] |= COUNTERS
    guest = Guest(Layout(data), tmp_path)
    areas = guest.per_cpu_areas(2)
    mm = guest.put("struct mm_struct")
    for number in range(4):
        place = 0x30000 + 4 * number
        members = {"count": 10 * number, "counters": place}
        guest.put("struct percpu_counter", members, mm + 8 + size * number)
        for area in areas:
            guest.write(area + place, struct.pack("<i", number - 2))
    found = [(counter.counted, counter.pending) for counter in rss.rss_stat(mm, [])]
    assert found == [(0, -4), (10, -2), (30, 2), (20, 0)]


def test_who_uses_an_address_space(tasks: Tasks) -> None:
    mm = PAGE_OFFSET + 0x1000
    owner = tasks.process(1, mm=mm, active_mm=mm)
    thread = tasks.thread(owner, 2, mm=mm, active_mm=mm)
    borrower = tasks.process(3, active_mm=mm)
    tasks.process(4, mm=mm + 64, active_mm=mm)
    assert rss.users(mm) == ([owner, thread], [borrower])
