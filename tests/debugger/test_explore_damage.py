# SPDX-License-Identifier: GPL-2.0-only
"""Corrupted kernel structures: every report ends, and shows what was read until then.

This is a broad test: each pointer that a walk follows gets each kind of bad value, and
every command that could meet it is run. The exact messages about broken structures are
tested in test_explore_broken.py for memory and test_explore_tasks_broken.py for tasks.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator

import pytest

from support.reports import parts
from support.witnessed import Moment

SCENES = ("static", "threads", "files", "family")
LIMIT = 30  # seconds for a report, which takes a fraction of one second

BAD: dict[str, int | str | None] = {
    "NULL": 0,
    "one": 1,
    "list poison": 0xDEAD_0000_0000_0100,
    "freed memory": 0x6B6B_6B6B_6B6B_6B6B,
    "behind the RAM": 0xFFFF_8880_7FFF_F000,
    "user space": 0x40_1000,
    "last page": 0xFFFF_FFFF_FFFF_F000,
    "kernel code": "(long)&schedule",
    "kernel data": "(long)&init_task + 8",
    "itself": None,  # the address of the changed pointer
}

# Pointers to something like another structure: a walk cannot tell, only its rules can
PLAUSIBLE = ("NULL", "kernel code", "kernel data", "itself")

OF_A_TASK = ("ps", "threads", "tree", "current", "task {pid}", "mm {pid}", "vmas {pid}")
OF_A_TASK += ("files {pid}", "kstack {pid}", "ustack {pid}", "regs {pid}", "elf {pid}")
OF_A_TASK += (
    "random {pid}",
    "map {pid}",
    "walk 0x401000 {pid}",
    "read 0x401000 16 {pid}",
)
OF_AREAS = ("mm {pid}", "vmas {pid}", "vma 0x401000 {pid}", "list {pid}", "rb {pid}")
OF_AREAS += (
    "random {pid}",
    "maple {pid}",
    "map {pid}",
    "elf {pid}",
    "ustack {pid}",
    "task {pid}",
)
OF_AREAS += ("walk 0x401000 {pid}", "read 0x401000 16 {pid}")
OF_FILES = ("vmas {pid}", "elf {pid}", "vma 0x400000 {pid}", "map {pid}", "files {pid}")
OF_FILES += ("task {pid}",)
OF_TABLES = ("walk 0x401000 {pid}", "read 0x401000 16 {pid}", "vma 0x401000 {pid}")
OF_TABLES += ("map {pid}", "elf {pid}", "ustack {pid}", "mm {pid}")
POINTERS = ("cred", "real_cred", "signal", "sighand", "real_parent", "parent", "mm")
POINTERS += ("files", "fs", "thread_pid", "stack", "group_leader")


@pytest.fixture(scope="session")
def moment(moments: Callable[..., Moment]) -> Moment:
    return moments(*SCENES)


@pytest.fixture(scope="session")
def is_listed(moment: Moment) -> bool:
    """Does this kernel chain areas with vm_next, as before the maple tree?"""
    return "mm_mt" not in moment.gdb("ptype struct mm_struct")


def value(moment: Moment, expression: object) -> int:
    """Evaluate a gdb expression as an unsigned number."""
    output = moment.gdb(f"print/x (unsigned long)({expression})")
    return int(output.split("= ")[1], 16)


def bad_values(moment: Moment, place: int) -> Iterator[tuple[str, int]]:
    """Return the wrong values that the pointer at a place may have."""
    for name, bad in BAD.items():
        yield name, place if bad is None else value(moment, bad)


@contextmanager
def changed(moment: Moment, place: int, word: int, size: int = 8) -> Iterator[None]:
    """Change a word of the guest's memory for the time of a with block."""
    kind = {4: "unsigned int", 8: "unsigned long"}[size]
    before = value(moment, f"*({kind} *){place:#x}")
    moment.gdb(f"set var *({kind} *){place:#x} = {word:#x}")
    try:
        yield
    finally:
        moment.gdb(f"set var *({kind} *){place:#x} = {before:#x}")


Answer = tuple[list[Any], str]


def ask_all(moment: Moment, commands: Iterable[str]) -> dict[str, Answer]:
    """Run lab commands, and return the parts of each report, or its error.

    Each is asked for JSON and for text: the views must cope with broken structures too.
    """
    commands = list(commands)
    asked = [f"lab {command}{form}" for command in commands for form in (" --json", "")]
    replies = dict(zip(asked, moment.try_all(asked, LIMIT)))
    found: dict[str, Answer] = {}
    for command in commands:
        answer, error = replies[f"lab {command} --json"]
        assert not error or is_sentence(error), f"lab {command}: {error}"
        assert replies[f"lab {command}"][1] == error, command
        found[command] = ([], error) if error else (parts(answer), "")
    return found


def ask(moment: Moment, command: str) -> Answer:
    """Run one command like ask_all()."""
    return ask_all(moment, [command])[command]


def with_pid(commands: tuple[str, ...], pid: int) -> list[str]:
    return [command.format(pid=pid) for command in commands]


def is_sentence(error: str) -> bool:
    return (
        len(error.strip().splitlines()) == 1
        and "Traceback" not in error
        and (not error.startswith("Error occurred in Python"))
    )


def reasons(parts: list[Any]) -> list[str]:
    """Return why walks ended early, in all parts of a report."""
    tables = [part for part in parts if isinstance(part, dict)]
    return [part["broken"] for part in tables if part.get("broken")]


def rows(parts: list[Any]) -> list[dict[str, Any]]:
    """Return the rows of the first table or drawing."""
    first = next(part for part in parts if isinstance(part, dict))
    return first["rows"] if "rows" in first else first["data"]


# --- Lists of tasks --------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("command", ["ps", "threads"])
def test_list_of_processes(moment: Moment, command: str) -> None:
    whole = moment.table(command)
    place = value(moment, f"&$lab_task({moment.pid('static')})->tasks.next")
    for bad, word in bad_values(moment, place):
        with changed(moment, place, word):
            parts, error = ask(moment, command)
        assert not error and reasons(parts), bad
        found = rows(parts)
        assert found == whole[: len(found)], bad
        assert moment.pid("static") == found[-1]["pid"]
        assert moment.table(command) == whole  # nothing of the damage is remembered


def test_cycle_in_the_list_of_processes(moment: Moment) -> None:
    place = value(moment, f"&$lab_task({moment.pid('static')})->tasks.next")
    with changed(moment, place, value(moment, "&$lab_task(2)->tasks")):
        for command in ("ps", "threads", "task 99999", "vmas 99999"):
            parts, error = ask(moment, command)
            assert error or reasons(parts), command
        assert len(rows(ask(moment, "ps")[0])) > 10


def test_list_of_threads(moment: Moment) -> None:
    pid = moment.pid("threads")
    later = moment.tids(pid)[1:]
    place = value(moment, f"&$lab_task({pid})->thread_node.next")
    for bad, word in bad_values(moment, place):
        with changed(moment, place, word):
            parts, error = ask(moment, "threads")
            assert not error and reasons(parts), bad
            found = [row["pid"] for row in rows(parts)]
            assert pid in found and not set(later) & set(found), bad
            ask_all(moment, (f"task {pid}", f"vmas {pid}", "current", "ps"))


@pytest.mark.parametrize("link", ["children.next", "sibling.next"])
def test_family(moment: Moment, link: str) -> None:
    pid = moment.pid("family" if link == "children.next" else "static")
    place = value(moment, f"&$lab_task({pid})->{link}")
    for bad, word in bad_values(moment, place):
        with changed(moment, place, word):
            parts, error = ask(moment, "tree")
        assert not error and len(rows(parts)) > 10, bad
        if bad != "itself" or link == "sibling.next":  # an empty list is not broken
            assert reasons(parts) or any(row.get("broken") for row in rows(parts)), bad


@pytest.mark.once
@pytest.mark.parametrize("member", POINTERS)
def test_pointers_of_a_task(moment: Moment, member: str) -> None:
    pid = moment.pid("files")
    place = value(moment, f"&$lab_task({pid})->{member}")
    for bad, word in bad_values(moment, place):
        with changed(moment, place, word):
            answers = ask_all(moment, with_pid(OF_A_TASK, pid))
        for command in ("ps", "threads"):
            parts, error = answers[command]
            assert not error and len(rows(parts)) > 10, (member, bad)


# --- Areas -----------------------------------------------------------------------


def test_list_of_areas(moment: Moment, is_listed: bool) -> None:
    if not is_listed:
        pytest.skip("this kernel keeps its areas in a maple tree")
    pid = moment.pid("static")
    whole = moment.table(f"vmas {pid}")
    place = value(moment, f"&$lab_mm({pid})->mmap->vm_next->vm_next")
    for bad, word in bad_values(moment, place):
        with changed(moment, place, word):
            answers = ask_all(moment, with_pid(OF_AREAS, pid))
        for command in (f"vmas {pid}", f"list {pid}"):
            parts, error = answers[command]
            found = [row["vma"] for row in rows(parts)][:2]
            assert found == [row["vma"] for row in whole][:2], (bad, error)
        if bad not in PLAUSIBLE:
            assert reasons(answers[f"vmas {pid}"][0]), bad
    assert moment.table(f"vmas {pid}") == whole


def test_red_black_tree(moment: Moment, is_listed: bool) -> None:
    if not is_listed:
        pytest.skip("this kernel keeps its areas in a maple tree")
    pid = moment.pid("static")
    for side in ("rb_left", "rb_right"):
        place = value(moment, f"&$lab_mm({pid})->mm_rb.rb_node->{side}")
        for bad, word in bad_values(moment, place):
            with changed(moment, place, word):
                answers = ask_all(moment, with_pid(OF_AREAS, pid))
            parts, error = answers[f"rb {pid}"]
            assert error or reasons(parts) or bad in PLAUSIBLE, (side, bad)
            assert not reasons(answers[f"vmas {pid}"][0])  # the list is intact


def test_maple_tree(moment: Moment, is_listed: bool) -> None:
    if is_listed:
        pytest.skip("this kernel keeps its areas in a list and a red-black tree")
    # A tree of one node, and a tree of several
    for scene, kind in (("static", "mr64"), ("threads", "ma64")):
        pid = moment.pid(scene)
        root = f"$lab_mm({pid})->mm_mt.ma_root"
        node = f"((struct maple_node *)((unsigned long){root} & ~0xff))"
        members = (f"{kind}.slot[1]", f"{kind}.pivot[1]", "parent")
        places = (root, *(f"{node}->{member}" for member in members))
        for place in [value(moment, f"&{place}") for place in places]:
            for _, word in bad_values(moment, place):
                with changed(moment, place, word):
                    ask_all(moment, with_pid(OF_AREAS, pid))


def first_area(pid: int, is_listed: bool) -> str:
    """Return a gdb expression for the first area of a program that is not PIE."""
    return f"$lab_mm({pid})->mmap" if is_listed else f"$lab_vma(0x400000, {pid})"


@pytest.mark.parametrize("member", ["vm_file", "vm_ops", "vm_mm", "anon_vma"])
def test_pointers_of_an_area(moment: Moment, is_listed: bool, member: str) -> None:
    pid = moment.pid("static")
    count = len(moment.table(f"vmas {pid}"))
    place = value(moment, f"&({first_area(pid, is_listed)})->{member}")
    for bad, word in bad_values(moment, place):
        with changed(moment, place, word):
            parts, error = ask_all(moment, with_pid(OF_AREAS, pid))[f"vmas {pid}"]
        assert not error and len(rows(parts)) == count, bad


# --- Files -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "member", ["f_path.dentry", "f_path.mnt", "f_inode", "f_op", "f_mapping"]
)
def test_pointers_of_a_file(moment: Moment, is_listed: bool, member: str) -> None:
    pid = moment.pid("static")
    count = len(moment.table(f"vmas {pid}"))
    place = value(moment, f"&({first_area(pid, is_listed)})->vm_file->{member}")
    for bad, word in bad_values(moment, place):
        with changed(moment, place, word):
            parts, error = ask_all(moment, with_pid(OF_FILES, pid))[f"vmas {pid}"]
        assert not error and len(rows(parts)) == count, bad


@pytest.mark.parametrize("member", ["d_parent", "d_inode", "d_op", "d_name.name"])
def test_pointers_of_a_dentry(moment: Moment, is_listed: bool, member: str) -> None:
    pid = moment.pid("static")
    dentry = f"({first_area(pid, is_listed)})->vm_file->f_path.dentry"
    place = value(moment, f"&{dentry}->{member}")
    for _, word in bad_values(moment, place):
        with changed(moment, place, word):
            ask_all(moment, with_pid(OF_FILES, pid))


def test_endless_paths(moment: Moment, is_listed: bool) -> None:
    pid = moment.pid("static")
    dentry = f"({first_area(pid, is_listed)})->vm_file->f_path.dentry"
    child = value(moment, dentry)
    length = value(moment, f"&{dentry}->d_name.len")
    with changed(moment, length, 0xFFFF_FFFF, size=4):
        ask_all(moment, with_pid(OF_FILES, pid))
    above = value(moment, f"&{dentry}->d_parent->d_parent")
    with changed(moment, above, child):  # each is the other's parent
        ask_all(moment, with_pid(OF_FILES, pid))


def test_page_cache(moment: Moment, is_listed: bool) -> None:
    """Only lab elf reads it, for what the process has not mapped."""
    pid = moment.pid("static")
    mapping = f"({first_area(pid, is_listed)})->vm_file->f_mapping"
    root = value(moment, f"&{mapping}->i_pages.xa_head")
    node = value(moment, f"{mapping}->i_pages.xa_head") - 2
    slots = value(moment, f"((struct xa_node *){node:#x})->slots")
    whole = moment.gdb(f"lab elf {pid}")
    assert "sections in memory" in whole
    for place in (root, slots, slots + 8):
        for bad, word in (*bad_values(moment, place), ("cycle", node | 2)):
            with changed(moment, place, word):
                parts, error = ask(moment, f"elf {pid}")
                assert not error and len(rows(parts)) == 7, bad
    assert moment.gdb(f"lab elf {pid}") == whole


@pytest.mark.parametrize("member", ["fdt", "fdt->fd", "fdt->open_fds", "fdt->fd[4]"])
def test_table_of_descriptors(moment: Moment, member: str) -> None:
    pid = moment.pid("files")
    place = value(moment, f"&$lab_task({pid})->files->{member}")
    for _, word in bad_values(moment, place):
        with changed(moment, place, word):
            ask_all(moment, (f"files {pid}", f"task {pid}"))


def test_endless_table_of_descriptors(moment: Moment) -> None:
    pid = moment.pid("files")
    place = value(moment, f"&$lab_task({pid})->files->fdt->max_fds")
    for number in (0, 0x7FFF_FFFF, 0xFFFF_FFFF):
        with changed(moment, place, number, size=4):
            ask(moment, f"files {pid}")


# --- Stacks, page tables, resources -------------------------------------------------


@pytest.mark.parametrize("command", ["kstack", "ustack", "regs", "task"])
def test_stack_pointer(moment: Moment, command: str) -> None:
    pid = moment.pid("static")
    place = value(moment, f"&$lab_task({pid})->thread.sp")
    for _, word in bad_values(moment, place):
        with changed(moment, place, word):
            ask(moment, f"{command} {pid}")


def test_frame_pointers(moment: Moment) -> None:
    pid = moment.pid("static")
    place = moment.table(f"kstack {pid}")[1]["place"]
    for bad, word in bad_values(moment, place):
        with changed(moment, place, word):
            parts, error = ask(moment, f"kstack {pid}")
            assert not error and rows(parts) and reasons(parts), bad


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_page_tables(moment: Moment, level: int) -> None:
    pid = moment.pid("static")
    entry = moment.table(f"walk 0x401000 {pid}")[level]
    place = value(moment, "page_offset_base") + entry["entry"]
    present = 0x67
    words = [0, present, entry["table"] | present, present | 1 << 7, (1 << 64) - 1]
    words += [
        0x7FF_FFFF_F000 | present,
        0xF_FFFF_FFFF_F000 | present,
        1 << 63 | present,
    ]
    for word in words:
        with changed(moment, place, word):
            ask_all(moment, with_pid(OF_TABLES, pid))


@pytest.mark.parametrize("member", ["sibling", "child", "name"])
def test_resources(moment: Moment, member: str) -> None:
    place = value(moment, f"&iomem_resource.child->{member}")
    for _, word in bad_values(moment, place):
        with changed(moment, place, word):
            ask_all(moment, ("phys 0x1000000", "kernel", "walk 0x401000"))


# --- What the lab remembers of the kernel --------------------------------------------

# Variables that the lab reads before anything else, and their sizes
FIRST = {"nr_cpu_ids": 4, "phys_base": 8, "page_offset_base": 8}
FIRST |= {"__pgtable_l5_enabled": 4, "linux_banner": 8}
WORDS = (0, 1, 0x7FFF_FFFF, 0xFFFF_8880_0020_0000, 0xFFFF_9000_0000_0000, (1 << 64) - 1)


@pytest.mark.parametrize("name", FIRST)
def test_no_word_misleads_all_that_follows(moment: Moment, name: str) -> None:
    """While it is damaged, everything is read as before, and as fast; afterwards as well."""
    commands = ["current", "ps", f"mm {moment.pid('static')}", "walk linux_banner"]
    whole = [moment.lab(command) for command in commands]
    place, size = value(moment, f"&{name}"), FIRST[name]
    refresh = "python from lab.target import kernel; kernel.refresh()"
    for word in WORDS:
        with changed(moment, place, word & (1 << 8 * size) - 1, size):
            moment.gdb(refresh)
            begin = time.monotonic()
            reports = [moment.lab(command) for command in commands]
            assert time.monotonic() - begin < 10, (name, hex(word))
            assert reports == whole, (name, hex(word))
        moment.gdb(refresh)
    assert [moment.lab(command) for command in commands] == whole


def test_idle_tasks_that_are_not_found(moment: Moment) -> None:
    """All other threads are shown, and that some are missing."""
    whole = moment.lab("threads")[0]["rows"]
    place = value(moment, "&__per_cpu_offset")
    with changed(moment, place + 8, 0):
        (cut,) = moment.lab("threads")
    assert "idle task" in cut["broken"]
    assert [row for row in whole if row not in cut["rows"]] == [
        row for row in whole if row["comm"] == "[swapper/1]"
    ]


def test_numbers_are_found_anew(moment: Moment) -> None:
    """They are found again whatever the lab remembered, with the RAM file or without."""
    whole = moment.lab("ps")
    wrong = "kernel._placement = placement.Placement(2 << 20, 0xffff900000000000, 5)"
    moment.gdb("python from lab.target import fits, kernel, memory, placement")
    for physical in ("kernel.memory().physical", "memory.Stub()"):
        moment.gdb(f"python kernel.memory().physical = {physical}")
        moment.gdb(f"python {wrong}; kernel.refresh()")
        assert moment.lab("ps") == whole
        found = moment.gdb("python print(kernel._placement._replace(page_offset=0))")
        assert found == "Placement(phys_base=0, page_offset=0, levels=4)\n"
    moment.gdb("python kernel.forget(); fits.check_running()")


def test_tables_that_lead_back(moment: Moment) -> None:
    """A top table that is its own second-level table, in the vmalloc region."""
    top = value(moment, "&init_top_pgt")
    unused = top + 8 * (value(moment, "vmalloc_base") >> 39 & 511) + 8 * 20
    with changed(moment, unused, top - 0xFFFF_FFFF_8000_0000 | 0x63):
        parts, error = ask(moment, "kernel")
    assert not error and "comes again" in reasons(parts)[0]
    mapped = {row["name"]: row["mapped"] for row in rows(parts)}
    assert mapped["vmalloc"] is None and mapped["kernel image"]
