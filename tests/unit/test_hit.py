# SPDX-License-Identifier: GPL-2.0-only
"""One call of segment_info(2): the walk of its address space, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from areas import Space, space
from tasks import Tasks

from lab.check import hit, hits_file, payload
from lab.check.hit import Call, Hit
from lab.check.payload import FIELDS, SIZE
from lab.linux import path, task as task_
from lab.target import structs
from made_up import PAGE, USER, WRITE, Guest

VM_READ, VM_WRITE = 1, 2
TID = 42
BUFFER = 0x7000_0000_0FF0  # of the program: it crosses a page
LONG = b"/" + b"x" * 40
ERROR = {"EPERM": -1, "EINTR": -4, "ENOMEM": -12, "EFAULT": -14, "EINVAL": -22}
BOUNDARIES = {
    **{"start_code": 0x1100, "end_code": 0x1200, "start_data": 0x2100},
    **{"end_data": 0x2200, "start_brk": 0x5000, "brk": 0x6800},
    **{"start_stack": 0x7000_0000_1800, "mmap_base": 0x6000_0000_0000},
}
RANGES = [
    (0x1000, 0x3000),  # the program
    (0x5000, 0x7000),  # the heap
    (0x9000, 0xA000),  # anonymous memory
    (0xB000, 0xC000),  # [vdso]
    (0x7000_0000_0000, 0x7000_0000_3000),  # the stack, with the buffer
]
NAMES = [LONG, b"[heap]", b"", b"[vdso]", b"[stack]"]


@dataclass
class Caller:
    """A process that makes the call."""

    guest: Guest
    made: Space
    call: Call

    @property
    def walk(self) -> payload.Walk:
        """Return the expected payload, as found when the call was observed."""
        assert self.call.walk is not None
        return self.call.walk

    def fill(self, data: bytes) -> int:
        """Put the kernel's struct into memory."""
        place = self.guest.room(SIZE)
        self.guest.write(place, data)
        return place

    def observe(self) -> None:
        """Have the kernel fill its struct correctly, and observe it."""
        task, call = self.call.task, self.call
        walk = payload.walk(task, call.mm, call.thread_sp, call.info)
        hit.observe(call, self.fill(walk.data))

    def judge(self, result: int = TID, user: bytes | None = None) -> list[str]:
        """Judge the call, and return copy and field of each mismatch."""
        data = self.walk.data if user is None and self.call.walk else user
        _, wrong = hit.judge(self.call, result, data)
        return [f"{mismatch.copy} {mismatch.field}" for mismatch in wrong]


def named(guest: Guest, root: int, name: bytes) -> int:
    """Make an open file in the root directory."""
    members = {"d_parent": root, "d_name.len": len(name), "d_hash.pprev": 1}
    return guest.put("struct dentry", members | {"d_name.name": guest.string(name)})


@pytest.fixture
def caller(guest: Guest) -> Caller:
    """A process with areas of all kinds, whose thread id in its namespace is 42."""
    made = space(guest, *RANGES, **BOUNDARIES)
    root = guest.put("struct dentry")
    guest.set("struct dentry", root, "d_parent", root)
    mount = guest.put("struct mount", {"mnt.mnt_root": root})
    guest.set("struct mount", mount, "mnt_parent", mount)
    mnt = mount + structs.offsetof("struct mount", "mnt")
    fs = guest.put("struct fs_struct", {"root.mnt": mnt, "root.dentry": root})
    dentry = named(guest, root, LONG[1:])
    file = guest.put("struct file", {"f_path.mnt": mnt, "f_path.dentry": dentry})
    made.member(0, "vm_file", file)
    ops = {"name": structs.address_of("special_mapping_name")}
    special = {"name": guest.string(b"[vdso]")}
    made.member(3, "vm_ops", guest.put("struct vm_operations_struct", ops))
    private = guest.put("struct vm_special_mapping", special)
    made.member(3, "vm_private_data", private)
    made.member(3, "vm_flags", VM_READ)
    pgd = guest.table()
    guest.set("struct mm_struct", made.mm, "pgd", guest.page_offset + pgd)
    for page in (BUFFER & -PAGE, (BUFFER & -PAGE) + PAGE):
        frame = guest.physical(guest.room(PAGE, PAGE))
        guest.map(pgd, page, frame, USER | WRITE)
    pid = guest.room(structs.offsetof("struct pid", "numbers") + 64)
    inside = structs.offsetof("struct pid", "numbers")
    guest.put("struct upid", {"nr": TID}, pid + inside)
    task = Tasks(guest).process(700, mm=made.mm, fs=fs, comm=b"demo", thread_pid=pid)
    call = Call(task_.task(task), 0, made.mm, BUFFER, 0x7FFF_0000, 0, 0.0)
    return Caller(guest, made, replace(call, moves=path.moves()))


# --- payload.py ---------------------------------------------------------------------------


def test_a_walk(caller: Caller) -> None:
    caller.observe()
    words, areas = payload.decode(caller.walk.data)
    rest = {"end_stack": 0x7000_0000_0000, "thread_sp": 0x7FFF_0000, "ma_size": 5}
    assert words == BOUNDARIES | rest
    names = [area.name.rstrip(b"\0") for area in areas[:5]]
    assert names == [b"x" * 23, b"[heap]", b"", b"[vdso]", b"[stack]"]
    assert [(area.vm_start, area.vm_end) for area in areas[:5]] == RANGES
    assert list(caller.walk.names) == NAMES and caller.walk.areas == 5
    assert all(rule.holds for rule in caller.walk.invariants)
    assert caller.walk.takes_payload


def test_more_areas_than_the_payload_has(caller: Caller) -> None:
    ranges = [(i * 2 * PAGE, (i * 2 + 1) * PAGE) for i in range(1, 31)]
    mm = space(caller.guest, *ranges).mm
    walk = payload.walk(caller.call.task, mm, 0)
    words, areas = payload.decode(walk.data)
    assert (words["ma_size"], walk.areas, len(areas)) == (24, 30, 24)
    assert areas[23].vm_start == ranges[23][0]


@pytest.mark.parametrize(
    ("start_stack", "end_stack"), [(0x8FFF, 0), (0x9000, 0x9000), (0xA000, 0)]
)
def test_the_stack_is_the_area_that_holds_its_start(
    caller: Caller, start_stack: int, end_stack: int
) -> None:
    mm = caller.made.mm
    caller.guest.set("struct mm_struct", mm, "start_stack", start_stack)
    words, _ = payload.decode(payload.walk(caller.call.task, mm, 0).data)
    assert words["end_stack"] == end_stack


def test_a_list_that_is_cut_is_a_rule_that_is_broken(caller: Caller) -> None:
    if caller.guest.has("struct mm_struct", "mmap"):
        caller.made.member(1, "vm_next", 0xDEAD_0000_0000)
        expected = 2
    else:
        tree = caller.made.mm + structs.offsetof("struct mm_struct", "mm_mt")
        broken = {"ma_root": 0xDEAD_0000_0000_001E}
        caller.guest.put("struct maple_tree", broken, tree)
        expected = 0
    walk = payload.walk(caller.call.task, caller.made.mm, 0)
    assert walk.areas == expected and not walk.invariants[0].holds


def test_a_name_that_cannot_be_read(caller: Caller) -> None:
    caller.made.member(0, "vm_file", 0xDEAD_0000_0000)
    walk = payload.walk(caller.call.task, caller.made.mm, 0)
    assert walk.names[0].startswith(b"?")


@pytest.mark.parametrize(
    ("info", "writable"),
    [
        (0x7000_0000_0000, True),
        (0x7000_0000_3000 - SIZE, True),
        (0x7000_0000_3000 - SIZE + 1, False),
        (0x7000_0000_0000 - 1, False),
        (0xB000, False),  # [vdso] is read-only
        (0xA000, False),
        (0x2000, True),
    ],
)
def test_is_the_buffer_writable(caller: Caller, info: int, writable: bool) -> None:
    walk = payload.walk(caller.call.task, caller.made.mm, 0, info)
    assert walk.takes_payload == writable


def test_a_buffer_in_two_areas(caller: Caller) -> None:
    made = space(caller.guest, (0x1000, 0x2000), (0x2000, 0x3000), (0x4000, 0x5000))
    for info, writable in ((0x1FFF, True), (0x2FFF, False), (0x3FFF, False)):
        walk = payload.walk(caller.call.task, made.mm, 0, info)
        assert walk.takes_payload == writable


def renamed(data: bytes, name: bytes, number: int = 0) -> bytes:
    """Change an area's name in a payload."""
    (at,) = (field.offset for field in FIELDS if field.name == f"ma[{number}].name")
    return data[:at] + name.ljust(24, b"\0") + data[at + 24 :]


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_file_that_was_renamed_meanwhile(caller: Caller, number: int) -> None:
    """Then the kernel's name is taken; that the file is deleted is always noticed."""
    walk = payload.walk(caller.call.task, caller.made.mm, 0)
    other = renamed(walk.data, b"/other", number)
    assert payload.settle_names(walk, other, moved=True).data == other
    assert payload.settle_names(walk, other, moved=False).data == walk.data
    names = [*walk.names]
    names[number] = b"/file (deleted)"
    gone = replace(walk, names=tuple(names))
    before = renamed(walk.data, b"/file", number)
    assert payload.settle_names(gone, before, moved=False).data == before
    assert payload.settle_names(gone, other, moved=False).data == walk.data


# --- hit.py ----------------------------------------------------------------------------------


def test_a_call_that_is_right(caller: Caller) -> None:
    caller.observe()
    checks, wrong = hit.judge(caller.call, TID, caller.walk.data)
    rules = len(caller.walk.invariants)
    assert wrong == [] and checks == 2 + 2 * len(FIELDS) + rules


def test_the_bytes_that_reached_the_user(caller: Caller) -> None:
    assert hit.delivered(caller.call, TID) == bytes(SIZE)
    assert hit.delivered(caller.call, ERROR["EFAULT"]) is None
    assert caller.call.faults == []
    assert hit.delivered(replace(caller.call, info=0x1234), TID) is None
    assert len(caller.call.faults) == 1
    caller.observe()
    assert caller.call.faults == [], "a new look at the call begins anew"


def test_the_kernels_own_half_is_not_the_users(caller: Caller) -> None:
    call = replace(caller.call, info=0xFFFF_8880_0000_0000)
    assert hit.delivered(call, TID) is None


def test_a_wrong_byte_in_either_copy(caller: Caller) -> None:
    caller.observe()
    wrong = renamed(caller.walk.data, b"/other")
    assert caller.judge(user=wrong) == ["delivered ma[0].name"]
    caller.call.buffer = wrong
    assert caller.judge() == ["kernel ma[0].name"]


def test_a_rule_that_is_broken(caller: Caller) -> None:
    caller.guest.set("struct mm_struct", caller.made.mm, "map_count", 9)
    caller.observe()
    assert caller.judge() == ["list map_count is the number of areas"]


def test_another_result_than_the_thread_id(caller: Caller) -> None:
    caller.observe()
    assert caller.judge(result=700) == ["return result"]


def test_success_without_a_payload(caller: Caller) -> None:
    _, wrong = hit.judge(caller.call, TID, None)
    assert [mismatch.field for mismatch in wrong] == ["segment_info_fill"]


def test_memory_that_cannot_be_read(caller: Caller) -> None:
    hit.observe(caller.call, 0xDEAD_0000_0000)
    assert caller.call.walk is None
    assert caller.judge(ERROR["EFAULT"]) == ["guest memory"]


def test_an_mm_that_cannot_be_read(caller: Caller) -> None:
    """The kernel's struct is there, but there is nothing to compare it with."""
    call = replace(caller.call, mm=0xDEAD_0000_0000)
    hit.observe(call, caller.fill(bytes(SIZE)))
    assert call.buffer is not None and call.walk is None
    _, wrong = hit.judge(call, ERROR["EFAULT"], None)
    assert [mismatch.copy for mismatch in wrong] == ["guest"]


@pytest.mark.parametrize(
    ("error", "filled", "writable", "may"),
    [
        ("EINTR", False, True, True),
        ("ENOMEM", False, True, True),
        ("EFAULT", False, True, True),
        ("EPERM", False, True, False),
        ("EINVAL", False, True, False),
        ("EFAULT", True, False, True),
        ("EFAULT", True, True, False),
        ("EINTR", True, False, False),
    ],
)
def test_how_a_call_may_fail(
    caller: Caller, error: str, filled: bool, writable: bool, may: bool
) -> None:
    if filled:
        caller.observe()
        caller.call.walk = replace(caller.walk, takes_payload=writable)
    assert caller.judge(ERROR[error]) == ([] if may else ["return result"])


def test_a_file_that_was_renamed_while_the_call_ran(caller: Caller) -> None:
    walk = payload.walk(caller.call.task, caller.made.mm, 0x7FFF_0000, BUFFER)
    buffer = caller.fill(renamed(walk.data, b"/other"))
    hit.observe(caller.call, buffer)
    assert caller.judge() == ["kernel ma[0].name"]
    moved = structs.address_of("rename_lock")
    member = "seqcount.seqcount.sequence"
    caller.guest.set("seqlock_t", moved, member, 2)
    hit.observe(caller.call, buffer)
    assert caller.judge() == []


def finished(caller: Caller, result: int, *wrong: payload.Mismatch) -> Hit:
    """Make a hit of the call."""
    call = caller.call
    return Hit(
        *(3, call.task, 0, call.mm, call.info, result),
        *(call.walk, call.buffer, None, 99, wrong, 1.23456),
    )


WRONG = payload.Mismatch("kernel", "ma[0].name", 104, b"/a", b"/b")


@pytest.mark.parametrize(
    ("result", "wrong", "summary"),
    [
        (TID, [], "PASS, 99 checks"),
        (TID, [WRONG], "FAIL, 99 checks, 1 failed"),
        (ERROR["EFAULT"], [], "PASS, EFAULT, 99 checks"),
    ],
)
def test_the_verdict_in_words(
    caller: Caller, result: int, wrong: list[payload.Mismatch], summary: str
) -> None:
    found = finished(caller, result, *wrong)
    assert found.summary == summary and found.passed == (not wrong)


def test_hits_as_a_file_has_them(caller: Caller) -> None:
    caller.observe()
    result = payload.Mismatch("return", "result", None, "a thread id", -4)
    hits = [finished(caller, TID), finished(caller, TID, WRONG, result)]
    made = hits_file.hits_file("6.1.0", [*hits, hits[0]], 0, [], 0)
    assert (made.kernel, made.passed, made.failed) == ("6.1.0", 2, 1)
    first, second, _ = made.hits
    assert (first.comm, first.pid, first.tid, first.areas) == ("demo", 700, 700, 5)
    assert (first.checks, first.result, first.verdict_ms) == (99, TID, 1.235)
    assert first.mismatches == []
    wrong, other = second.mismatches
    assert (other.offset, other.expected, other.found) == (None, "a thread id", -4)
    assert (wrong.copy, wrong.field, wrong.offset) == ("kernel", "ma[0].name", 104)
    assert (wrong.expected, wrong.found) == (b"/a".hex(), b"/b".hex())
    caller.call.walk = None
    killed = hits_file.hits_file("", [finished(caller, -4)], 0, [], 0)
    assert killed.hits[0].areas == 0


def test_only_a_whole_run_in_which_all_is_well_is_verified(caller: Caller) -> None:
    caller.observe()
    good, bad = finished(caller, TID), finished(caller, TID, WRONG)
    for hits, unreturned, errors, ended in (
        ([], 0, [], 0),
        ([good, bad], 0, [], 0),
        ([good], 1, [], 0),
        ([good], 0, ["memory that cannot be read"], 0),
        ([good], 0, [], 3),
        ([good], 0, [], None),  # a panic: the guest ended before the program
    ):
        made = hits_file.hits_file("", hits, unreturned, errors, ended)
        assert not made.verified, made
        found = (made.unreturned, made.errors, made.program_ended)
        assert found == (unreturned, errors, ended)
    assert hits_file.hits_file("", [good], 0, [], 0).verified
