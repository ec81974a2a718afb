# SPDX-License-Identifier: GPL-2.0-only
"""What the other tests rely on: the scenes show what they are meant to show, and nothing
in them has run since the witness looked."""

from __future__ import annotations

import re
from typing import Callable

import pytest

from support import witnessed
from support.witnessed import Moment

FAMILY = {
    "zombie": "Z",
    "killed zombie": "Z",
    "stopped": "T",
    "traced": "t",
    "vfork parent": "D",
    "vfork child": "S",
    "leaderless": "Z",
    "shares memory": "S",
    "a user": "S",
    "fifo": "S",
}


@pytest.fixture(scope="session")
def moment(moments: Callable[..., Moment]) -> Moment:
    return moments()


def test_nothing_has_run_since_the_witness_looked(moment: Moment) -> None:
    count = 0
    for pid in moment.users():
        for tid in moment.tids(pid):
            status = moment.status(pid, tid)
            task = f"$lab_task({tid})"
            counts = moment.gdb(f'printf "%lu %lu", {task}->nvcsw, {task}->nivcsw')
            names = ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
            assert counts.split() == [status[name] for name in names], tid
            count += 1
    assert count > 50


def test_states_of_the_family(moment: Moment) -> None:
    for comm, letter in FAMILY.items():
        assert moment.stat(moment.pid("family", comm))[3] == letter, comm
    leaderless = moment.pid("family", "leaderless")
    first, second = moment.tids(leaderless)
    assert moment.stat(leaderless, second)[3] == "S" and first == leaderless


def test_processes_rest_in_the_middle_of_an_exec(moment: Moment) -> None:
    before = moment.pid("exec", "before exec")
    assert "begin_new_exec" in moment.proc(before, "stack")
    assert len(moment.tids(before)) == 2
    after = moment.pid("exec", "exec")
    assert "ptrace_notify" in moment.proc(after, "stack")
    assert moment.stat(after)[3] == "t"


def test_threads_sleep_in_different_places(moment: Moment) -> None:
    pid = moment.pid("threads")
    places = {moment.proc(pid, f"task/{tid}/wchan") for tid in moment.tids(pid)}
    assert len(moment.tids(pid)) == 9 and len(places) == 8  # two wait for a futex


def test_huge_pages_of_both_kinds(moment: Moment) -> None:
    smaps = moment.proc(moment.pid("huge"), "smaps")
    transparent = [int(kb) for kb in re.findall(r"AnonHugePages: +(\d+)", smaps)]
    assert transparent.count(4096) == 1 and 2048 in transparent
    assert smaps.count("KernelPageSize:     2048 kB") == 2


def test_every_kind_of_area(moment: Moment) -> None:
    pid = moment.pid("memory")
    maps, smaps = moment.proc(pid, "maps"), moment.proc(pid, "smaps")
    for name in ("/tmp/shared", "/tmp/deleted (deleted)", "/dev/zero (deleted)"):
        assert f" {name}\n" in maps
    assert "/memfd:of the scene (deleted)" in maps and "/SYSV000001ab" in maps
    flags = " ".join(re.findall(r"VmFlags: (.*)", smaps)).split()
    for code in "rd wr ex sh gd pf lo io sr rr dc nr wf dd hg nh".split():
        assert code in flags, code


def test_files_behind_mounts(moment: Moment) -> None:
    maps = moment.proc(moment.pid("mounts"), "maps")
    for name in (
        "/tmp/mounts/bound/file seen",
        "/mnt/host_share/file",
        " /folder/file of",
    ):
        assert name in maps
    jail = moment.pid("mounts", "in a chroot")
    assert moment.snapshot[f"/proc/{jail}/root"] == b"/tmp/mounts/outer/jail"
    assert "outside the jail" in moment.proc(jail, "maps")


def test_names_that_are_hard_to_print(moment: Moment) -> None:
    maps = moment.proc(moment.pid("names"), "maps")
    assert "/two\\012lines" in maps and "/looks deleted (deleted)\n" in maps
    assert max(map(len, maps.splitlines())) > 4096
    for comm in ("a) S 1 (b", "line\nbreak"):
        assert moment.pid("names", comm)


def test_descriptors_of_every_kind(moment: Moment) -> None:
    pid = moment.pid("files")
    prefix = f"/proc/{pid}/fd/"
    links = [text for name, text in moment.snapshot.items() if name.startswith(prefix)]
    joined = b" ".join(links)
    for kind in (b"pipe:[", b"socket:[", b"[eventfd]", b"[eventpoll]", b"[signalfd]"):
        assert kind in joined
    assert b"[timerfd]" in joined and b"/memfd:" in joined and b"(deleted)" in joined
    assert f"{prefix}300" in moment.snapshot


def test_the_four_ways_to_link_a_program(moment: Moment) -> None:
    for name in witnessed.LINKED:
        maps = moment.proc(moment.pid(name), "maps")
        assert ("ld-linux" in maps) == name.startswith("dynamic")
        assert maps.startswith("00400000-") != name.endswith("pie")


def test_a_process_with_many_areas(moments: Callable[..., Moment]) -> None:
    moment = moments("many=20000")
    pid = moment.pid("many=20000")
    assert moment.proc(pid, "maps").count("\n") > 20000
    rows = moment.table(f"vmas {pid}")
    lines = [line.split()[0] for line in moment.proc(pid, "maps").splitlines()]
    assert [f"{row['start']:08x}-{row['end']:08x}" for row in rows] == lines
