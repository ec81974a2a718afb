# SPDX-License-Identifier: GPL-2.0-only
"""The lab compared with crash and drgn, on a dump of the same moment.

crash and drgn share no code with the lab, nor with each other. They read the dump
that `lab dump` wrote, so they are oracles for it too.

The following is left out, because the versions in Debian 12 cannot do it:
* crash 8.0.2 cannot read 6.1: it knows neither the maple tree (8.0.3 does) nor the
  struct pid of 6.1.y (8.0.4 does), so it finds 3 tasks, in QEMU's own dump as well.
* crash 8.0.2 prints no backtrace of a task that is running on a CPU of this kernel,
  neither in QEMU's own dump nor in ours. It guesses at frames: of some sleeping tasks
  (the parent of a vfork() on 6.0) it prints only the first frame, of others (an exec on
  5.10) also stale ones that it finds on the stack.
* drgn 0.0.22 has no helper for the maple tree; 0.0.25 added it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

import pytest

from support import labs, other_readers
from support.witnessed import Moment

PAGE = 4096
WALKED = ("static", "huge", "memory")  # scenes whose page tables are compared

# crash's names for the states that ps and /proc show as letters
CRASH_STATES = {"R": "RU", "S": "IN", "D": "UN", "T": "ST", "t": "TR", "Z": "ZO"}
CRASH_STATES["I"] = "ID"


@pytest.fixture(scope="session")
def moment(moments: Callable[..., Moment]) -> Moment:
    return moments()


@pytest.fixture(scope="session")
def dump(moment: Moment) -> Path:
    """A dump of the moment."""
    file = moment.folder / "core"
    moment.gdb(f"lab dump {file}")
    return file


@pytest.fixture(scope="session")
def drgn(moment: Moment, dump: Path, vmlinux: Path) -> dict[str, Any]:
    """What drgn finds in the dump: all tasks, and details of all but kernel threads."""
    return other_readers.drgn(vmlinux, dump, "facts.py", *moment.users())


Answers = dict[str, list[str]]


@pytest.fixture(scope="session")
def crash(moment: Moment, dump: Path, vmlinux: Path) -> Answers:
    """crash's output for all commands of the tests, at once, since it is slow to start."""
    if reason := other_readers.crash_fails(moment):
        pytest.skip(reason)
    commands = ["ps"]
    commands += [f"vm {pid}" for pid in with_memory(moment)]
    commands += [f"bt {pid}" for pid in asleep(moment)]
    commands += [f"files {moment.pid('files')}"]
    for pid in map(moment.pid, WALKED):
        commands += [f"vtop -c {pid} {address:x}" for address in starts(moment, pid)]
    return other_readers.crash(vmlinux, dump, commands)


def with_memory(moment: Moment) -> list[int]:
    """Return the processes with an address space: no zombies."""
    return [pid for pid in moment.users() if moment.proc(pid, "maps")]


def asleep(moment: Moment) -> list[int]:
    """Return the processes that are not running and have a kernel stack."""
    return [pid for pid in moment.users() if moment.stat(pid)[3] in "SDTt"]


# --- Tasks ---------------------------------------------------------------------


def test_all_tasks_as_drgn_finds_them(moment: Moment, drgn: dict[str, Any]) -> None:
    rows = moment.table("threads")
    assert len(rows) > 80
    mine = {row["task"]: row for row in rows if row["pid"]}
    theirs = {task["task"]: task for task in drgn["tasks"] if task["pid"]}
    assert set(mine) == set(theirs)
    for address, task in theirs.items():
        row = mine[address]
        names = ("pid", "tgid", "ppid", "uid", "euid", "state", "cpu", "threads")
        assert {name: row[name] for name in names} == {
            name: task[name] for name in names
        }
        comm = labs.shown(bytes.fromhex(task["comm"]))
        if task["state"] != "Z":
            assert row["comm"] == (f"[{comm}]" if task["is_kernel"] else comm)


def test_all_tasks_as_crash_finds_them(moment: Moment, crash: Answers) -> None:
    theirs = {
        task.task: task for task in other_readers.crash_ps(crash["ps"]) if task.pid
    }
    rows = moment.table("threads")
    mine = {row["task"]: row for row in rows if row["pid"]}
    assert set(mine) == set(theirs) and len(mine) > 80
    idle = {task.task for task in other_readers.crash_ps(crash["ps"]) if not task.pid}
    assert {row["task"] for row in rows if not row["pid"]} == idle and len(idle) == 2
    for address, task in theirs.items():
        row = mine[address]
        assert (row["pid"], row["ppid"], row["cpu"]) == (task.pid, task.ppid, task.cpu)
        # crash also has the states waking and new, which /proc and the lab call R.
        state = "RU" if task.state in ("WA", "NE") else task.state
        assert CRASH_STATES[row["state"]] == state


# --- Address spaces ------------------------------------------------------------


def counters(parts: list[Any]) -> dict[str, int]:
    """Return the values of all tables of `lab mm`, by name."""
    found = {}
    for part in parts:
        for row in part.get("rows", ()) if isinstance(part, dict) else ():
            if "counter" in row:
                found[row["counter"]] = row["value"]
            if "pages_of" in row:
                found[f"rss {row['pages_of']}"] = row["counted"]
    return found


def boundaries(parts: list[Any]) -> dict[str, int]:
    """Return the boundaries that `lab mm` draws, by name."""
    drawn = next(part["data"] for part in parts if "data" in part)
    return {boundary["name"]: boundary["address"] for boundary in drawn}


def test_members_of_mm_as_drgn_reads_them(moment: Moment, drgn: dict[str, Any]) -> None:
    compared = set()
    for pid in with_memory(moment):
        parts = moment.lab(f"mm {pid}")
        theirs = drgn["processes"][str(pid)]["mm"]
        mine = counters(parts) | boundaries([p for p in parts if isinstance(p, dict)])
        for name in set(mine) & set(theirs):
            assert mine[name] == theirs[name], (pid, name)
            compared.add(name)
        rss = [mine[f"rss {name}"] for name in ("file", "anon", "swap", "shmem")]
        assert rss == theirs["rss"], pid
    assert len(compared) >= 20, compared


def test_areas_as_drgn_finds_them(moment: Moment, drgn: dict[str, Any]) -> None:
    if drgn["processes"][str(moment.pid("static"))]["vmas"] is None:
        pytest.skip("drgn before 0.0.25 has no helper for the maple tree")
    for pid in with_memory(moment):
        theirs = drgn["processes"][str(pid)]["vmas"]
        mine = [
            row for row in moment.table(f"vmas {pid}") if row["name"] != "[vsyscall]"
        ]
        assert [row["vma"] for row in mine] == theirs.get(
            "tree", [r["vma"] for r in mine]
        )
        for row, area in zip(mine, theirs["list"], strict=True):
            for name in ("vma", "start", "end", "pgoff", "anon_vma", "inode"):
                assert row[name] == area[name], (pid, row, area)


def test_areas_as_crash_finds_them(moment: Moment, crash: Answers) -> None:
    for pid in with_memory(moment):
        lines = crash[f"vm {pid}"]
        title = next(i for i, line in enumerate(lines) if line.split()[:1] == ["MM"])
        head = lines[title + 1].split()
        mm = moment.lab(f"mm {pid}")
        assert head[0] in mm[0] and head[1] in mm[0], (head, mm[0])
        kib = counters(mm)["total_vm"] * 4
        assert head[3] == f"{kib}k"
        theirs = [line.split(None, 4) for line in lines[title + 3 :]]
        mine = [
            row for row in moment.table(f"vmas {pid}") if row["name"] != "[vsyscall]"
        ]
        in_one_line = [
            words for words in theirs if len(words) >= 4 and words[0].startswith("ff")
        ]
        for row, words in zip(mine, in_one_line, strict=True):
            assert [row["vma"], row["start"], row["end"]] == [
                int(word, 16) for word in words[:3]
            ]


# --- Pages and memory -----------------------------------------------------------


def starts(moment: Moment, pid: int) -> list[int]:
    """Return the first address of each area of a process, and one in its middle."""
    rows = [row for row in moment.table(f"vmas {pid}") if row["name"] != "[vsyscall]"]
    middles = [row["start"] + row["size"] // 2 & -PAGE for row in rows]
    return sorted({row["start"] for row in rows} | set(middles))


def walked(moment: Moment, pid: int, address: int) -> tuple[list, dict, dict]:
    """Run `lab walk`: the entries, the outcome, and the page frame if there is one."""
    parts = [p for p in moment.lab(f"walk {address} {pid}") if isinstance(p, dict)]
    entries = [(row["entry"], row["value"]) for row in parts[0]["rows"]]
    frames = [
        row for part in parts if part["title"] == "page frame" for row in part["rows"]
    ]
    return entries, parts[1]["rows"][0], frames[0] if frames else {}


def crash_vtop(lines: list[str]) -> tuple[list[tuple[int, int]], int | None]:
    """Return the entries that crash's vtop walked, and the physical address if there is one."""
    entries, physical = [], None
    for line in lines:
        if found := re.match(r" +P[GUMT4D][DE]: ([0-9a-f]+) => ([0-9a-f]+)", line):
            entries.append((int(found[1], 16), int(found[2], 16)))
        if found := re.match(r"([0-9a-f]+) +([0-9a-f]+) *$", line):
            physical = int(found[2], 16)
    return entries, physical


@pytest.mark.parametrize("scene", WALKED)
def test_page_table_walks_as_crash_walks(
    moment: Moment, crash: Answers, scene: str
) -> None:
    pid = moment.pid(scene)
    addresses = starts(moment, pid)
    present = 0
    for address in addresses:
        lines = crash[f"vtop -c {pid} {address:x}"]
        theirs, physical = crash_vtop(lines)
        entries, end, _ = walked(moment, pid, address)
        assert entries[: len(theirs)] == theirs and theirs, (hex(address), lines)
        if end["state"] == "protnone":
            continue  # crash takes the inverted frame number as stored
        assert (end["physical"] if end["state"] == "present" else None) == physical
        present += physical is not None
    assert present > 5


@pytest.mark.parametrize("scene", ["dynamic-pie", "huge", "memory"])
def test_page_frames_and_memory_as_drgn_reads_them(
    moment: Moment, dump: Path, vmlinux: Path, scene: str
) -> None:
    pid = moment.pid(scene)
    addresses = starts(moment, pid)
    walks = {address: walked(moment, pid, address)[1:] for address in addresses}
    frames = {address: frame for address, (_, frame) in walks.items()}
    pfns = {frame["frame"] for frame in frames.values() if frame}
    lists = [",".join(map(str, numbers)) for numbers in (sorted(pfns), addresses)]
    theirs = other_readers.drgn(vmlinux, dump, "pages.py", pid, *lists)
    assert len(pfns) > 5
    for address, frame in frames.items():
        read = moment.lab(f"read {address} 48 {pid}")[0]["data"][0]
        found = theirs["memory"][str(address)]
        if walks[address][0]["state"] == "protnone":
            found = read["bytes"]  # present in the guest, but drgn sees no present bit
        assert (read["bytes"] or None) == found, hex(address)
        if frame:
            page = theirs["pages"][str(frame["frame"])]
            assert frame["page"] == page["page"]
            assert frame["refcount"] == page["refcount"]
            bits = [1 << theirs["bits"][name] for name in frame["flags"]]
            assert sum(bits) == page["flags"], frame


# --- Files -----------------------------------------------------------------------


def test_descriptors_as_drgn_finds_them(moment: Moment, drgn: dict[str, Any]) -> None:
    count = 0
    for pid in with_memory(moment):
        theirs = {file["fd"]: file for file in drgn["processes"][str(pid)]["files"]}
        mine = {row["fd"]: row for row in descriptors(moment, pid)}
        assert set(mine) == set(theirs)
        for fd, row in mine.items():
            file = theirs[fd]
            assert (row["file"], row["position"]) == (file["file"], file["pos"])
            assert row["inode"] == file["inode"]
        count += len(mine)
    assert count > 200


def test_descriptors_as_crash_finds_them(moment: Moment, crash: Answers) -> None:
    pid = moment.pid("files")
    theirs = {}
    for line in crash[f"files {pid}"]:
        if found := re.match(
            r" *(\d+) ([0-9a-f]{16}) [0-9a-f]{16} [0-9a-f]{16} ", line
        ):
            theirs[int(found[1])] = int(found[2], 16)
    mine = {row["fd"]: row["file"] for row in descriptors(moment, pid)}
    assert mine == theirs and len(mine) > 30


def descriptors(moment: Moment, pid: int) -> list[dict[str, Any]]:
    """Return the rows of `lab files` that are descriptors."""
    tables = [part for part in moment.lab(f"files {pid}") if isinstance(part, dict)]
    return next(
        table["rows"] for table in tables if "fd" in (table.get("rows") or [{}])[0]
    )


# --- Kernel stacks -------------------------------------------------------------


def frames(moment: Moment, pid: int) -> list[int]:
    """Return where each frame of a kernel stack is, without the user-mode frame."""
    rows = moment.table(f"kstack {pid}")
    return [row["address"] for row in rows if row["kind"] != "user"]


def test_kernel_stacks_as_drgn_unwinds_them(
    moment: Moment, drgn: dict[str, Any]
) -> None:
    for pid in asleep(moment):
        theirs = drgn["processes"][str(pid)]["stack"]
        assert frames(moment, pid) == theirs, pid


def test_kernel_stacks_as_crash_unwinds_them(moment: Moment, crash: Answers) -> None:
    pids, whole = asleep(moment), 0
    for pid in pids:
        lines = crash[f"bt {pid}"]
        theirs = [
            int(line.split(" at ")[1].split()[0], 16)
            for line in lines
            if " at " in line
        ]
        mine = frames(moment, pid)
        whole += mine == theirs
        old_ones = iter(theirs)
        is_within = all(frame in old_ones for frame in mine)  # in the same order
        assert theirs and (is_within or mine[: len(theirs)] == theirs), (pid, lines)
    assert whole > 0.9 * len(pids)


# --- The program ---------------------------------------------------------------


def test_auxiliary_vectors_as_drgn_reads_them(
    moment: Moment, drgn: dict[str, Any]
) -> None:
    for pid in with_memory(moment):
        parts = moment.lab(f"elf {pid}")
        tables = [part for part in parts if isinstance(part, dict)]
        table = next(table for table in tables if table["title"] == "auxiliary vector")
        mine = [word for row in table["rows"] for word in (row["type"], row["value"])]
        assert mine == drgn["processes"][str(pid)]["mm"]["auxv"][: len(mine)]
        assert len(mine) > 20 and mine[-2:] == [0, 0]
