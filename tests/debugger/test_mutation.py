# SPDX-License-Identifier: GPL-2.0-only
"""The checker itself: it reports whatever is false in the guest, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import labs

# Copied from the issue; which field a byte belongs to is computed from this text.
ABI = """
struct ma_struct    { unsigned long vm_start, vm_end; char name[24]; };                     /* 40 bytes */
struct segment_info { unsigned long start_code, end_code, start_data, end_data, start_brk, brk,
                      start_stack, end_stack, thread_sp, mmap_base, ma_size;
                      struct ma_struct ma[24]; };                                            /* 1048 bytes */
"""


def fields_of_abi() -> list[tuple[str, int, int]]:
    """Return name, offset and size of each field, in order."""
    words = re.search(r"segment_info \{ unsigned long ([^;]*);", ABI)
    assert words
    fields = [(name.strip(), 8) for name in words[1].split(",")]
    for i in range(24):
        fields += [(f"ma[{i}].vm_start", 8), (f"ma[{i}].vm_end", 8)]
        fields += [(f"ma[{i}].name", 24)]
    places, offset = [], 0
    for name, size in fields:
        places.append((name, offset, size))
        offset += size
    assert offset == 1048
    return places


FIELDS = fields_of_abi()

# The rules of the area list, in the report's words
CHAIN = "the areas can be followed to the end"
FULL = "every area has its start below its end"
SORTED = "areas are sorted and do not overlap"
OWNER = "every area points back to this mm"
MIRROR = "vm_prev mirrors vm_next"
TREE = "the red-black tree gives the same sequence"
COUNT = "map_count is the number of areas"
PLACED = "every area is where the tree has it"
GAPS = "the tree's gaps are the widest below"
BOTH = {CHAIN, FULL, SORTED, OWNER, COUNT}
RULES = {"list": BOTH | {MIRROR, TREE}, "maple": BOTH | {PLACED, GAPS}}


@dataclass
class Change:
    """A falsification in the guest, and what the report must name.

    The demo's areas: 0 to 4 are of its file (3 and 4 are adjacent), 5 is bss, 6 the heap,
    7 to 11 mappings or stacks of threads, 12 [stack], 13 [vvar], 14 [vdso].
    """

    assignments: dict[str, str]
    names: set[str]  # fields of the kernel's copy, and rules for any kernel
    read: int | None = None  # the areas from this one on are wrong as well
    says: str = ""  # the text of a broken rule contains this
    only: str = ""  # kernels with this: "list" (vm_next, mm_rb) or "maple" (mm_mt)


def cut(target: str, says: str) -> Change:
    """Make vm_next of area 3 point to where no area is."""
    change = {"$area3->vm_next": target}
    return Change(change, {CHAIN, TREE, COUNT}, 4, says, "list")


CHANGES = {
    # the areas' addresses
    "vm_start": Change(
        {"$area3->vm_start": "$area3->vm_start + 4096"}, {"ma[3].vm_start", PLACED}
    ),
    "vm_start of the stack": Change(
        {"$area12->vm_start": "$area12->vm_start + 4096"},
        {"ma[12].vm_start", "end_stack", PLACED},
    ),
    "vm_start, overlapping": Change(
        {"$area4->vm_start": "$area3->vm_start + 4096"},
        {"ma[4].vm_start", SORTED, PLACED},
        says="area 4 ",
    ),
    "vm_start, empty": Change(
        {"$area3->vm_start": "$area3->vm_end"},
        {"ma[3].vm_start", FULL, PLACED},
        says="area 3 ",
    ),
    "vm_end": Change(
        {"$area3->vm_end": "$area3->vm_end - 4096"}, {"ma[3].vm_end", PLACED}
    ),
    "vm_end, overlapping": Change(
        {"$area3->vm_end": "$area4->vm_start + 4096"},
        {"ma[3].vm_end", SORTED, PLACED},
        says="area 4 ",
    ),
    # who the areas belong to
    "vm_mm": Change({"$area3->vm_mm": "0"}, {OWNER}, says="area 3 "),
    "vm_mm of the last": Change(
        {"$area14->vm_mm": "$mm + 1"}, {OWNER}, says="area 14 "
    ),
    # their names
    "vm_file missing": Change({"$area3->vm_file": "0"}, {"ma[3].name"}),
    "vm_file of another": Change(
        {"$area5->vm_file": "$area3->vm_file"}, {"ma[5].name"}
    ),
    "vm_file wild": Change({"$area3->vm_file": "0x4141414141414141"}, {"ma[3].name"}),
    "vm_file freed": Change({"$area3->vm_file": "0x6b6b6b6b6b6b6b6b"}, {"ma[3].name"}),
    "vm_ops": Change({"$area13->vm_ops": "0"}, {"ma[13].name"}),
    "vm_ops wild": Change({"$area13->vm_ops": "0x4141414141414141"}, {"ma[13].name"}),
    "vm_private_data": Change(
        {"$area13->vm_private_data": "$area14->vm_private_data"}, {"ma[13].name"}
    ),
    "d_name": Change(
        {
            "$area3->vm_file->f_path.dentry->d_name.name": "$area3->vm_file->f_path.dentry->d_name.name + 1"
        },
        {f"ma[{i}].name" for i in range(5)},
    ),
    "d_parent is a cycle": Change(
        {
            "$area3->vm_file->f_path.dentry->d_parent->d_parent": "$area3->vm_file->f_path.dentry",
        },
        {f"ma[{i}].name" for i in range(5)},
    ),
    # the mm
    **{
        name: Change({f"$mm->{name}": f"$mm->{name} + 8"}, {name})
        for name in (
            "start_code",
            "end_code",
            "start_data",
            "end_data",
            "start_brk",
            "brk",
        )
        + ("start_stack", "mmap_base")
    },
    "start_stack in no area": Change(
        {"$mm->start_stack": "4096"}, {"start_stack", "end_stack", "ma[12].name"}
    ),
    "start_brk and brk in no area": Change(
        {"$mm->start_brk": "4096", "$mm->brk": "4096"},
        {"start_brk", "brk", "ma[6].name"},
    ),
    "map_count": Change({"$mm->map_count": "$mm->map_count + 1"}, {COUNT}, says="16"),
    "map_count negative": Change({"$mm->map_count": "-1"}, {COUNT}),
    # the chain
    "vm_next skips one": Change(
        {"$area3->vm_next": "$area5"}, {MIRROR, TREE, COUNT}, 4, only="list"
    ),
    "vm_next NULL": Change({"$area3->vm_next": "0"}, {TREE, COUNT}, 4, only="list"),
    "vm_next wild": cut("0x1000", "after 4 areas: cannot read 0x1000"),
    "vm_next -1": cut("-1", "after 4 areas"),
    "vm_next at the end of all": cut("-64", "after 4 areas"),
    "vm_next not canonical": cut(
        "((unsigned long)$area4 & 0xffffffffffff) | 0x4141000000000000",
        "after 4 areas: cannot read 0x4141",
    ),
    "vm_next not canonical by one bit": cut(
        "(unsigned long)$area4 ^ (1UL << 60)", "not canonical"
    ),
    "vm_next freed": cut("0x6b6b6b6b6b6b6b6b", "cannot read 0x6b6b6b6b6b6b6b6b"),
    "vm_next poisoned": cut("0xdead000000000100", "cannot read 0xdead000000000100"),
    "vm_next behind RAM": cut("(unsigned long)$area3 + (1UL << 40)", "after 4 areas"),
    "vm_next a cycle": Change(
        {"$area9->vm_next": "$area2"},
        {CHAIN, TREE, COUNT},
        10,
        "after 10 areas",
        "list",
    ),
    "vm_next itself": Change(
        {"$area4->vm_next": "$area4"}, {CHAIN, TREE, COUNT}, 5, "after 5 areas", "list"
    ),
    "vm_next a ring": Change(
        {"$area14->vm_next": "$area0"}, {CHAIN}, says="cycle", only="list"
    ),
    "vm_next unsorted": Change(
        {
            "$area3->vm_next": "$area5",
            "$area5->vm_next": "$area4",
            "$area4->vm_next": "$area6",
        },
        {SORTED, MIRROR, TREE},
        4,
        only="list",
    ),
    "unsorted, mirrored": Change(
        {
            "$area3->vm_next": "$area5",
            "$area5->vm_next": "$area4",
            "$area4->vm_next": "$area6",
            "$area5->vm_prev": "$area3",
            "$area4->vm_prev": "$area5",
            "$area6->vm_prev": "$area4",
        },
        {SORTED, TREE},
        4,
        only="list",
    ),
    "vm_next into another mm": Change(
        {"$area3->vm_next": "$task->real_parent->mm->mmap"},
        {OWNER, MIRROR, TREE, COUNT, SORTED},
        4,
        only="list",
    ),
    "vm_prev": Change(
        {"$area3->vm_prev": "$area1"}, {MIRROR}, says="area 3 ", only="list"
    ),
    "vm_prev of the first": Change(
        {"$area0->vm_prev": "$area14"}, {MIRROR}, says="area 0 ", only="list"
    ),
    "vm_prev NULL": Change(
        {"$area14->vm_prev": "0"}, {MIRROR}, says="area 14 ", only="list"
    ),
    "mmap": Change({"$mm->mmap": "$area1"}, {MIRROR, TREE, COUNT}, 0, only="list"),
    "mmap NULL": Change({"$mm->mmap": "0"}, {TREE, COUNT}, 0, only="list"),
    "mmap wild": Change(
        {"$mm->mmap": "0x4141414141414141"},
        {CHAIN, TREE, COUNT},
        0,
        "after 0 areas",
        "list",
    ),
    # the red-black tree
    "rb_node NULL": Change({"$mm->mm_rb.rb_node": "0"}, {TREE}, only="list"),
    "rb_node wild": Change(
        {"$mm->mm_rb.rb_node": "0x6b6b6b6b6b6b6b6b"}, {TREE}, only="list"
    ),
    "rb_left NULL": Change({"$mm->mm_rb.rb_node->rb_left": "0"}, {TREE}, only="list"),
    "rb_right wild": Change(
        {"$mm->mm_rb.rb_node->rb_right": "-8"}, {TREE}, only="list"
    ),
    "rb_left a cycle": Change(
        {"$mm->mm_rb.rb_node->rb_left": "$mm->mm_rb.rb_node"},
        {TREE},
        says="cycle",
        only="list",
    ),
    "rb_right a cycle": Change(
        {"$area14->vm_rb.rb_right": "$mm->mm_rb.rb_node"},
        {TREE},
        says="cycle",
        only="list",
    ),
    "rb children swapped": Change(
        {
            "$mm->mm_rb.rb_node->rb_left": "$mm->mm_rb.rb_node->rb_right",
            "$mm->mm_rb.rb_node->rb_right": "$mm->mm_rb.rb_node->rb_left",
        },
        {TREE},
        says="area 0 ",
        only="list",
    ),
    # the maple tree
    "ma_root NULL": Change({"$mm->mm_mt.ma_root": "0"}, {COUNT}, 0, only="maple"),
    "ma_root an entry": Change(
        {"$mm->mm_mt.ma_root": "0x6b6b6b6b6b6b6b68"}, {CHAIN, COUNT}, 0, only="maple"
    ),
    "ma_root wild": Change(
        {"$mm->mm_mt.ma_root": "0x6b6b6b6b6b6b6b1e"},
        {CHAIN, COUNT, PLACED, GAPS},
        0,
        only="maple",
    ),
    "ma_root of a dead node": Change(
        {"$node->parent": "$node"}, {CHAIN, COUNT, PLACED, GAPS}, 0, "is dead", "maple"
    ),
    "slot NULL": Change({"*$slot3": "0"}, {COUNT}, 3, only="maple"),
    "slot wild": Change(
        {"*$slot3": "0x4141414141414140"}, {CHAIN, COUNT}, 3, only="maple"
    ),
    "slot freed": Change(
        {"*$slot3": "0x6b6b6b6b6b6b6b6b"}, {CHAIN, COUNT}, 3, only="maple"
    ),
    "slots swapped": Change(
        {"*$slot3": "*$slot4", "*$slot4": "*$slot3"}, {SORTED, PLACED}, 3, only="maple"
    ),
    "pivot": Change({"*$pivot3": "*$pivot3 - 4096"}, {PLACED}, only="maple"),
    "node twice": Change(
        {"$node->ma64.slot[0]": "$node->ma64.slot[1]"},
        {CHAIN, COUNT, PLACED, GAPS},
        0,
        "comes twice",
        "maple",
    ),
    "gap": Change(
        {"$node->ma64.gap[0]": "$node->ma64.gap[0] + 4096"}, {GAPS}, only="maple"
    ),
}

# The user's memory is found through the page tables at the return of the call
RETURNED = {
    "pgd NULL": {"$mm->pgd": "0"},
    "pgd wild": {"$mm->pgd": "0x4141414141414141"},
    "pgd behind RAM": {"$mm->pgd": "(unsigned long)$mm + (1UL << 40)"},
}


@pytest.fixture(scope="module")
def report(kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the check reports for every flipped byte and for every change."""
    given = {
        "filled": {name: list(c.assignments.items()) for name, c in CHANGES.items()},
        "only": {name: change.only for name, change in CHANGES.items()},
        "returned": {name: list(change.items()) for name, change in RETURNED.items()},
    }
    return labs.inside(
        "mutate.py",
        labs.free_port(),
        tmp_path_factory.mktemp("mutation"),
        given,
        before=("source gdb/seginfo.py",),
    )


def test_each_flipped_byte_is_named(report: Any) -> None:
    right = bytes.fromhex(report["right"])
    for copy in ("kernel", "delivered"):
        assert len(report[copy]) == 1048
        for name, start, size in FIELDS:
            for byte in range(start, start + size):
                false = bytearray(right)
                false[byte] ^= 0xFF
                values = [data[start : start + size] for data in (right, bytes(false))]
                shown: list[int | str] = [value.hex() for value in values]
                if size == 8:
                    shown = [int.from_bytes(value, "little") for value in values]
                assert report[copy][byte] == [[copy, name, start, *shown]], byte


@pytest.mark.parametrize("name", CHANGES)
def test_change_in_the_guest_is_named(report: Any, name: str) -> None:
    change = CHANGES[name]
    if change.only not in ("", report["kind"]):
        pytest.skip(f"this kernel keeps its areas in a {report['kind']}")
    assert report["areas"] == 15
    offsets = {field: offset for field, offset, _ in FIELDS}
    wrong = report["filled"][name]
    rules = {field: found for copy, field, *_, found in wrong if copy == "list"}
    fields = {field for copy, field, *_ in wrong if copy == "kernel"}
    assert len(rules) + len(fields) == len(wrong), "only the list and the kernel's copy"
    assert all(offsets[f] == at for copy, f, at, *_ in wrong if copy == "kernel")

    assert set(rules) == change.names & RULES[report["kind"]]
    assert change.says in " ".join(rules.values())
    if change.read is None:
        assert fields == {name for name in change.names if name in offsets}
        return
    # Areas are right as far as the list could be followed, and wrong from there on
    behind = {f for f in offsets if f.startswith("ma[")}
    behind -= {f for f in behind if int(f[3:].split("]")[0]) < change.read}
    assert f"ma[{change.read}].vm_start" in fields
    assert fields <= behind | {"ma_size", "end_stack"}


@pytest.mark.parametrize("name", RETURNED)
def test_user_memory_that_cannot_be_found_is_no_pass(report: Any, name: str) -> None:
    [[copy, field, *_, found]] = report["returned"][name]
    assert (copy, field) == ("guest", "memory") and "cannot read" in found


def test_wrong_result_of_the_call_is_named(report: Any) -> None:
    [[copy, field, offset, expected, found]] = report["wrong tid"]
    assert (copy, field, offset, found) == ("return", "result", None, expected + 1)


def test_guest_survives_and_what_is_right_again_passes(report: Any) -> None:
    assert report["restored"] == []
    assert report["passed"] == [True] * 3


@pytest.mark.once
@pytest.mark.parametrize(
    ("what", "field", "offset", "copies"),
    [
        ("kernel", "start_data", 16, ["kernel", "delivered"]),
        ("delivered", "ma[2].vm_end", 88 + 2 * 40 + 8, ["delivered"]),
        ("area", "ma[1].vm_start", 88 + 40, ["kernel", "delivered"]),
    ],
)
def test_make_verify_fails_with_a_row_that_says_what(
    port: int, tmp_path: Path, what: str, field: str, offset: int, copies: list[str]
) -> None:
    """End to end, with a gdb that falsifies something at every call."""
    shim = tmp_path / "gdb"
    shim.write_text('#!/bin/sh\nexec "$REAL_GDB" -x "$CORRUPT" "$@"\n')
    shim.chmod(0o755)
    environ = labs.environment()
    ended = labs.verify(
        port,
        PATH=f"{tmp_path}:{environ['PATH']}",
        REAL_GDB=labs.which("gdb"),
        CORRUPT=labs.IN_GDB / "corrupt.py",
        LAB_GIVEN=what,
    )
    assert ended.returncode != 0, ended.stdout
    assert "3 hits, 0 passed, 3 failed" in ended.stdout and "PASS" not in ended.stdout
    name = re.escape(field.split(".")[0])
    assert len(re.findall(rf"^ {name} .*WRONG", ended.stdout, re.M)) == 3
    number = r"0x[0-9a-f]+"
    for copy in copies:
        rows = re.findall(
            rf"^ {copy} +{re.escape(field)} +{offset} +({number}) +({number}) *$",
            ended.stdout,
            re.M,
        )
        assert len(rows) == 3 and all(
            int(a, 16) ^ int(b, 16) == 0x1000 for a, b in rows
        )
    assert "lab: demo exited with" in labs.console_log(port)  # the guest survived
