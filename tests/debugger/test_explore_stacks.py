# SPDX-License-Identifier: GPL-2.0-only
"""Unusual stacks of programs, and processes with a thread that has ended.

At one stopped moment: see programs/scene_stacks.c.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

import pytest

from support import labs
from support.damage import changed
from support.witnessed import Moment

Moments = Callable[..., Moment]
NOWHERE = 0x0000_1234_5678_9000


@pytest.fixture(scope="module")
def moment(moments: Moments) -> Moment:
    return moments("stacks")


def frames(moment: Moment, pid: int) -> list[dict[str, Any]]:
    """Return the complete user stack of a task."""
    return moment.table(f"ustack {pid} {moment.programs / 'stacks'}")


def functions(rows: list[dict[str, Any]]) -> list[str]:
    return [re.split(r"[+.]", row["symbol"])[0].lstrip("_") for row in rows]


# --- lab ustack ---------------------------------------------------------------


@pytest.mark.once
def test_ustack_of_who_waits_in_vfork(moment: Moment) -> None:
    """vfork() keeps its return address in a register: it has its caller's stack pointer."""
    rows = frames(moment, moment.pid("stacks", "waits"))
    names = functions(rows)
    assert names[:3] == ["vfork", "beget", "main"] and names[-1] == "start", names
    pointers = [row["stack_pointer"] for row in rows]
    assert pointers[0] == pointers[1] and pointers == sorted(pointers)
    assert "vfork" in moment.gdb(f"lab regs {moment.pid('stacks', 'waits')}")


def saved(moment: Moment, pid: int, register: str) -> str:
    """Return a gdb expression for a saved user-mode register in the guest's memory."""
    (place,) = re.findall(r"saved at (0x\w+)", moment.gdb(f"lab regs {pid}"))
    return f"((struct pt_regs *){place})->{register}"


@pytest.mark.once
def test_ustack_with_a_wild_stack_pointer(moment: Moment) -> None:
    """The innermost frame, then one sentence: no frames from wherever it points."""
    pid = moment.pid("stacks", "begotten")
    whole = frames(moment, pid)
    assert functions(whole)[-1] == "start" and len(whole) > 3
    regs = int(saved(moment, pid, "ip").split(")")[1], 16)
    # It points at code of the program, as if somebody had called
    in_kernel = regs + 8 * 16 - 8
    for value in (in_kernel, 0xFFFF_FFFF_8100_0000, NOWHERE, 0, 8, 1 << 63):
        with changed(moment, saved(moment, pid, "sp"), value):
            (_, table) = moment.lab(f"ustack {pid} {moment.programs / 'stacks'}")
            assert [row["address"] for row in table["rows"]] == [whole[0]["address"]]
            half = (
                "in the kernel's half" if value >> 63 else "in no area of the process"
            )
            assert table["broken"] == f"the stack pointer {value:#x} is {half}"
            output = moment.gdb(f"lab ustack {pid}")
            assert output.count("The walk ended early") == 1
    assert frames(moment, pid) == whole


@pytest.mark.once
def test_ustack_ends_at_a_return_address_that_is_none(moment: Moment) -> None:
    pid = moment.pid("stacks", "begotten")
    whole = frames(moment, pid)
    ret = whole[1]["stack_pointer"] - 8
    walk = moment.lab(f"walk {ret:#x} {pid}")
    (outcome,) = [part for part in walk if isinstance(part, dict)][1]["rows"]
    place = f"*(unsigned long *){outcome['direct_map']:#x}"
    for value in (NOWHERE, 0xFFFF_FFFF_8100_0000, ret):
        with changed(moment, place, value):
            (_, table) = moment.lab(f"ustack {pid} {moment.programs / 'stacks'}")
            assert table["rows"] == whole[:1]
            assert f"the return address {value:#x} is no code" in table["broken"]


# --- A thread that has ended, in a process that continues ---------------------

OF_THE_PROCESS = ("mm", "map", "vmas", "list", "elf", "random")
OF_AN_ADDRESS = ("vma {}", "walk {}", "read {} 16", "what {}")
OF_THE_THREAD = ("kstack", "ustack", "regs")
OTHERS = {"files", "task", "tree"}


def threads(moment: Moment, comm: str) -> dict[str, int]:
    """Return the threads of a process of the scene, by name."""
    pid = moment.pid("stacks", comm)
    rows = [row for row in moment.table("threads") if row["tgid"] == pid]
    return {row["comm"]: row["pid"] for row in rows}


def takes_a_pid(moment: Moment, name: str) -> bool:
    """Does the first line of its help have a PID?"""
    return bool(re.search(r"\bPID\b", moment.gdb(f"help lab {name}").splitlines()[0]))


def test_every_command_that_takes_a_pid_is_tried(moment: Moment) -> None:
    names = re.findall(r"^lab (\w+) --", moment.gdb("help lab"), re.M)
    takes = {name for name in names if takes_a_pid(moment, name)}
    tried = {line.split()[0] for line in (*OF_THE_PROCESS, *OF_AN_ADDRESS)}
    tried |= {"rb", "maple", *OF_THE_THREAD, *OTHERS}
    assert takes - tried == {"trace"}  # below, for a leader that is just ending
    assert tried <= set(names)


@pytest.mark.once
@pytest.mark.parametrize(
    "process, dead, alive",
    [("leaderless",) * 2 + ("heir",), ("halved", "gone", "halved")],
)
def test_memory_is_that_of_the_process(
    moment: Moment, process: str, dead: str, alive: str
) -> None:
    tids = threads(moment, process)
    (areas,) = moment.lab(f"vmas {tids[alive]}")
    start = areas["rows"][0]["start"]
    tree = "rb" if "vm_rb" in moment.gdb("ptype struct vm_area_struct") else "maple"
    commands = [f"{name} {{pid}}" for name in (*OF_THE_PROCESS, tree)]
    commands += [f"{line.format(start)} {{pid}}" for line in OF_AN_ADDRESS]
    for command in commands:
        found, expected = (
            moment.lab(command.format(pid=tids[name])) for name in (dead, alive)
        )
        assert found == expected, command
    for call in ("$lab_mm({})", f"$lab_vma({start}, {{}})"):
        found, expected = (
            moment.gdb(f"output/x (long){call.format(tids[name])}")
            for name in (dead, alive)
        )
        assert found == expected != "0x0"


@pytest.mark.once
def test_files_are_those_of_a_thread_that_lives(moment: Moment) -> None:
    tids = threads(moment, "leaderless")
    (heirs,) = moment.lab(f"files {tids['heir']}")
    sentence, table = moment.lab(f"files {tids['leaderless']}")
    assert sentence == (
        f"leaderless, pid {tids['leaderless']}, has ended; its process goes on with "
        f"threads {tids['heir']} (heir) and {tids['apart']} (apart). These are the files "
        f"of thread {tids['heir']}; other threads have files of their own: "
        f"{tids['apart']}."
    )
    assert table == heirs and len(table["rows"]) > 3
    (apart,) = moment.lab(f"files {tids['apart']}")
    assert {row["fd"] for row in heirs["rows"]} - {
        row["fd"] for row in apart["rows"]
    } == {0}
    tids = threads(moment, "halved")
    sentence, table = moment.lab(f"files {tids['gone']}")
    assert f"the files of thread {tids['halved']}." in sentence and table["rows"]


@pytest.mark.once
def test_a_thread_has_no_stack_and_who_lives(moment: Moment) -> None:
    tids = threads(moment, "leaderless")
    lives = f"; its process goes on with threads {tids['heir']} (heir) and {tids['apart']} (apart)."
    for command in OF_THE_THREAD:
        (sentence,) = moment.lab(f"{command} {tids['leaderless']}")
        assert sentence.startswith(f"leaderless, pid {tids['leaderless']}, has ended")
        assert sentence.endswith(lives)
        assert "frame" not in moment.gdb(f"lab {command} {tids['leaderless']}")
        assert moment.table(f"{command} {tids['heir']}")
    sentence = moment.lab(f"task {tids['leaderless']}")[0]
    assert sentence.endswith(f"; it has ended{lives[:-1]}")
    (sentence,) = moment.lab(f"kstack {threads(moment, 'halved')['gone']}")
    assert sentence.endswith(
        f"with thread {threads(moment, 'halved')['halved']} (halved)."
    )


@pytest.mark.once
def test_a_leader_that_is_just_ending(port: int, program: Any, tmp_path: Path) -> None:
    """It has given up its memory and its files, but is not a zombie yet."""
    answers = labs.inside(
        "trace.py",
        port,
        tmp_path,
        [
            "hbreak exit_notify",
            "continue",
            *(
                f"lab {name} --json"
                for name in ("mm", "vmas", "files", "ustack", "kstack")
            ),
            "output/x (long)$lab_mm()",
            "delete",
            "lab trace mmap $lab_task()->pid --json",
        ],
        PROGRAM=program("leader.c"),
    )[2:]
    mm, vmas, files, ustack, kstack, pointer, _, traced = answers
    assert mm[0].startswith(f"mm_struct {pointer};")
    assert [row["name"] for row in vmas[0]["rows"]].count("[stack]") == 1
    assert re.match(
        r"program, pid (\d+), is ending; its process goes on with thread \d+ \(program\)\. "
        r"These are the files of thread \d+\.$",
        files[0],
    )
    # The other thread may just be checking whether the first has ended
    opened = {row["fd"]: row["path"] for row in files[1]["rows"]}
    assert re.fullmatch(r"/proc/(self|\d+)/stat", opened.pop(3, "/proc/self/stat"))
    assert list(opened) == [0, 1, 2]
    assert ustack[1]["broken"] == "" and len(ustack[1]["rows"]) > 2
    assert any(row["symbol"].startswith("do_exit+") for row in kstack[1]["rows"])
    (mapped,) = [
        event
        for event in traced[0]["data"]
        if event["call"] == "mmap" and event["arguments"][1:3] == [4096, 1]
    ]
    assert mapped["result"] > 0
    # start_thread() and all below it are left out
    assert mapped["caller"] == ["in_register", "map_page", "other"]
