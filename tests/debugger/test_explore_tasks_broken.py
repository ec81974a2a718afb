# SPDX-License-Identifier: GPL-2.0-only
"""Tasks, files and stacks with broken structures: every report ends.

Each test changes a pointer of the stopped guest, asks the lab, and restores it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import pytest

from support.witnessed import Moment

Moments = Callable[..., Moment]
FREED = 0x6B6B_6B6B_6B6B_6B6B  # SLUB's poison
WILD = 0xFFFF_8880_7FFF_F000  # the direct map, behind the guest's memory
USER = 0x4000
BAD = (FREED, WILD, USER, 0)
LIMIT = 20  # seconds; far more than any command here takes


@pytest.fixture(scope="module")
def moment(moments: Moments) -> Moment:
    return moments()


def number(moment: Moment, expression: str) -> int:
    """Evaluate a Python expression inside gdb.

    gdb's own expressions take seconds when they first name a kernel structure.
    """
    names = (
        "from lab.explain import facts; from lab.linux import task; "
        "from lab.target import kernel, structs"
    )
    return int(moment.gdb(f"python {names}; print({expression})"))


def word(moment: Moment, address: int) -> int:
    """Read 64 bits of the guest's memory."""
    return number(moment, f"kernel.memory().u64({address:#x})")


def place(moment: Moment, pid: int, path: str) -> int:
    """Return the address of a task's member; the path may follow pointers."""
    task = number(moment, f"task.find_task_by_pid({pid})")
    return place_in(moment, "struct task_struct", task, path)


def place_in(moment: Moment, kind: str, address: int, path: str) -> int:
    found = f"facts._find({kind!r}, {address:#x}, {path!r})"
    return number(moment, f"(lambda place, at: at + place.offset)(*{found})")


@contextmanager
def changed(moment: Moment, address: int, value: int) -> Iterator[None]:
    """Change a 64-bit value in the guest's memory for the time of a with block."""
    before = word(moment, address)
    moment.gdb(f"set var *(unsigned long *){address:#x} = {value:#x}")
    try:
        yield
    finally:
        moment.gdb(f"set var *(unsigned long *){address:#x} = {before:#x}")


def ask(moment: Moment, command: str) -> list[Any] | str:
    """Return the parts of a report or its error; it must be quick and without a traceback."""
    start = time.monotonic()
    try:
        return moment.lab(command)
    except AssertionError:
        refusal = moment.refused(f"lab {command}")
        assert "\n" not in refusal.strip() and refusal.strip().endswith("."), refusal
        return refusal
    finally:
        assert time.monotonic() - start < LIMIT


def broken_table(moment: Moment, command: str) -> dict[str, Any]:
    """Return the table of a command that ended early."""
    parts = ask(moment, command)
    assert not isinstance(parts, str), parts
    table = next(part for part in parts if isinstance(part, dict))
    assert table["broken"], table
    return table


# --- The lists of tasks -----------------------------------------------------------


@pytest.mark.parametrize("value", (*BAD, "cycle", "back"))
def test_the_list_of_processes(moment: Moment, value: int | str) -> None:
    whole = [row["pid"] for row in moment.table("ps")]
    pid = moment.pid("family")
    link = place(moment, pid, "tasks.next")
    if value == "cycle":
        value = link
    elif value == "back":
        value = place(moment, 2, "tasks")
    with changed(moment, link, int(value)):
        for command in ("ps", "threads"):
            table = broken_table(moment, command)
            found = [row["pid"] for row in table["rows"] if row["pid"] in whole]
            assert found == whole[: whole.index(pid) + 1]
        # A process before the break is found, one after it is not.
        assert not isinstance(ask(moment, f"task {pid}"), str)
        last = moment.pids()[-1]
        assert isinstance(ask(moment, f"task {last}"), str)


@pytest.mark.parametrize("value", BAD)
def test_the_threads_of_a_process(moment: Moment, value: int) -> None:
    pid = moment.pid("threads")
    with changed(moment, place(moment, pid, "thread_node.next"), value):
        table = broken_table(moment, "threads")
        assert [row["pid"] for row in table["rows"]][-1] == pid
        assert moment.table("ps"), "the processes are another list"


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("member", ["cred", "signal", "real_parent"])
def test_a_process_with_a_wild_pointer(moment: Moment, member: str, value: int) -> None:
    whole = [row["pid"] for row in moment.table("ps")]
    pid = moment.pid("family")
    with changed(moment, place(moment, pid, member), value):
        table = broken_table(moment, "ps")
        found = [row["pid"] for row in table["rows"]]
        assert found == whole[: whole.index(pid)]


@pytest.mark.parametrize("value", (*BAD, "cycle"))
def test_the_children_of_a_process(moment: Moment, value: int | str) -> None:
    (whole,) = moment.lab("tree")
    pid = moment.pid("family")
    link = place(moment, pid, "children.next")
    if value == "cycle":  # the first child's sibling is the first child
        link = value = word(moment, link)
    with changed(moment, link, int(value)):
        (tree,) = ask(moment, "tree")
        assert f"pid {pid}" in tree["broken"]
        found = {row["pid"] for row in tree["data"]}
        lost = {row["pid"] for row in whole["data"]} - found
        family = {row["pid"] for row in moment.lab(f"tree {pid}")[0]["data"]}
        assert lost and not lost & family
        assert found >= {0, 1, 2, pid, moment.pid("static")}
    assert moment.lab("tree") == [whole]


def test_a_process_that_is_its_own_child(moment: Moment) -> None:
    """The tree has a loop: a grandchild's list of children is its family's list."""
    pid = moment.pid("family")
    child = moment.pid("family", "session leader")
    first = word(moment, place(moment, pid, "children.next"))
    with changed(moment, place(moment, child, "children.next"), first):
        (tree,) = ask(moment, "tree")
        assert tree["broken"]


# --- lab task ------------------------------------------------------------------------


@pytest.mark.parametrize("value", BAD)
def test_task_with_wild_pointers(moment: Moment, value: int) -> None:
    pid = moment.pid("family")
    members = ("cred", "fs", "files", "sighand", "group_leader", "parent", "stack")
    members += ("thread_pid", "real_cred", "mm")
    for member in members:
        with changed(moment, place(moment, pid, member), value):
            parts = ask(moment, f"task {pid}")
            assert not isinstance(parts, str), parts
            rows = [row for part in parts[1:] for row in part["rows"]]
            (row,) = [row for row in rows if row["member"] == member]
            assert int(row["value"], 0) == value
            assert len(rows) > 90


# --- lab files -----------------------------------------------------------------------


def test_files_with_a_wild_table(moment: Moment) -> None:
    pid = moment.pid("files")
    for value in BAD:
        with changed(moment, place(moment, pid, "files"), value):
            answer = ask(moment, f"files {pid}")
            assert isinstance(answer, str) or "is damaged: it has no table" in answer[0]
        for member in ("fdt", "fdt->fd", "fdt->close_on_exec", "fdt->open_fds"):
            with changed(moment, place(moment, pid, f"files->{member}"), value):
                assert isinstance(ask(moment, f"files {pid}"), str)


def test_files_with_a_wild_file(moment: Moment) -> None:
    pid = moment.pid("files")
    whole = {row["fd"]: row for row in moment.table(f"files {pid}")}
    slot = word(moment, place(moment, pid, "files->fdt->fd")) + 8 * 4
    places = {"": slot}
    for member in ("f_inode", "f_path.mnt", "f_path.dentry"):
        file = word(moment, slot)
        places[member] = place_in(moment, "struct file", file, member)
    for member, at in places.items():
        for value in (FREED, WILD, USER):
            with changed(moment, at, value):
                rows = {row["fd"]: row for row in moment.table(f"files {pid}")}
            assert rows.keys() == whole.keys() and rows[7] == whole[7]
            inode = member in ("", "f_inode")
            assert (rows[4]["kind"] == "unreadable") == inode
            assert (rows[4]["inode"] is None) == inode
            assert ("cannot read" in rows[4]["path"]) == (member != "f_inode")
            assert (rows[4]["position"] == 5000) == (member != "")
            shared = rows[5] == whole[5]  # by dup(): the same struct file
            assert shared == (member == "")
    assert {row["fd"]: row for row in moment.table(f"files {pid}")} == whole


def test_files_with_a_wild_size(moment: Moment) -> None:
    pid = moment.pid("static")
    size = place(moment, pid, "files->fdt->max_fds")
    with changed(moment, size, FREED & 0xFFFF_FFFF):
        table = broken_table(moment, f"files {pid}")
        assert "room for 1802201963 descriptors" in table["broken"]
    with changed(moment, size, 1_000_000):
        table = broken_table(
            moment, f"files {pid}"
        )  # the line below it is not part of the table
        assert "is not marked as open" in table["broken"]


# --- Stacks --------------------------------------------------------------------------


@pytest.mark.parametrize("value", BAD)
def test_kstack_with_a_wild_stack_pointer(moment: Moment, value: int) -> None:
    pid = moment.pid("static")
    with changed(moment, place(moment, pid, "thread.sp"), value):
        table = broken_table(moment, f"kstack {pid}")
        assert table["rows"] == []
        assert "points into no stack of the task" in table["broken"]


def test_kstack_with_broken_frames(moment: Moment) -> None:
    pid = moment.pid("static")
    whole = moment.table(f"kstack {pid}")
    places = [row["place"] for row in whole]
    for value in (*BAD, places[2], places[0], places[2] + 1):
        with changed(moment, places[2], value):  # the rbp that frame 2 saved
            table = broken_table(moment, f"kstack {pid}")
            assert table["rows"][:3] == whole[:3]
            assert len(table["rows"]) <= 4
    for value in BAD:
        with changed(moment, places[2] + 8, value):  # its return address
            table = broken_table(moment, f"kstack {pid}")
            assert table["rows"] == whole[:2]
            assert "is no kernel code" in table["broken"]
    assert moment.table(f"kstack {pid}") == whole


@pytest.mark.parametrize("value", BAD)
def test_stacks_of_a_task_without_a_stack(moment: Moment, value: int) -> None:
    pid = moment.pid("static")
    with changed(moment, place(moment, pid, "stack"), value):
        for command in ("kstack", "regs", "ustack"):
            ask(moment, f"{command} {pid}")


@pytest.mark.parametrize("value", (FREED, WILD, USER))
def test_stacks_of_a_task_with_a_wild_mm(moment: Moment, value: int) -> None:
    pid = moment.pid("static")
    with changed(moment, place(moment, pid, "mm"), value):
        for command in ("regs", "ustack"):
            assert isinstance(ask(moment, f"{command} {pid}"), str)


def test_ustack_with_broken_registers(moment: Moment) -> None:
    pid = moment.pid("static")
    whole = moment.table(f"ustack {pid}")
    regs = whole and moment.lab(f"kstack {pid}")[1]["rows"][-1]["place"]
    for member in ("sp", "ip"):
        at = place_in(moment, "struct pt_regs", regs, member)
        for value in BAD:
            with changed(moment, at, value):
                parts = ask(moment, f"ustack {pid}")
                assert not isinstance(parts, str), parts
                assert parts[1]["rows"] and len(parts[1]["rows"]) < len(whole)
                assert parts[1]["broken"]
