# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: falsify what the check reads, one thing at a time, and ask it again.

Sourced when the check is armed and nothing has run yet. In the demo's first call, where
the kernel's buffer is filled and mmap_lock is held: every byte of the buffer, then the
changes given in $LAB_GIVEN. Where the call returns: every byte that reached the user,
then the changes for there. Each is undone.

A change is a list of assignments [place, value], both gdb expressions in which
$mm, $task and $area0, $area1, ... are pointers.
"""

import json
import os

import gdb
from lab.check import hit, payload
from lab.commands.seginfo import check
from lab.linux import maple, task, vma
from lab.target import structs


def as_json(wrong: list) -> list:
    """Return mismatches as lists, with names as hexadecimal text."""
    return [
        [
            mismatch.copy,
            mismatch.field,
            mismatch.offset,
            *(
                v.hex() if isinstance(v, bytes) else v
                for v in (mismatch.expected, mismatch.found)
            ),
        ]
        for mismatch in wrong
    ]


def write(address: int, data: bytes) -> bytes:
    """Write guest memory as `set var` does, and return what was there before."""
    inferior = gdb.selected_inferior()
    before = bytes(inferior.read_memory(address, len(data)))
    inferior.write_memory(address, data)
    return before


def place_of(assignment: list[str]) -> tuple[int, bytes]:
    """Return the address and the bytes of a "place = value"."""
    place = gdb.parse_and_eval(assignment[0])
    value = int(gdb.parse_and_eval(f"(unsigned long)({assignment[1]})"))
    size = place.type.sizeof
    return int(place.address), (value % (1 << 8 * size)).to_bytes(size, "little")


def changed(changes: dict, ask) -> dict:
    """Return what the check reports for each change."""
    reports = {}
    for name, assignments in changes.items():
        places = [place_of(assignment) for assignment in assignments]
        before = [(address, write(address, data)) for address, data in places]
        reports[name] = as_json(ask())
        for address, data in reversed(before):
            write(address, data)
    return reports


def flipped(address: int, ask) -> list:
    """Return what the check reports for each of the 1048 bytes."""
    reports = []
    for at in range(address, address + 1048):
        before = gdb.selected_inferior().read_memory(at, 1)
        write(at, bytes([before[0][0] ^ 0xFF]))
        reports.append(as_json(ask()))
        write(at, bytes(before))
    return reports


def name_areas(mm: int) -> int:
    """Set $mm, $task, $area0, ..., and return the number of areas."""
    pointer = gdb.lookup_type("struct vm_area_struct").pointer()
    count = 0
    for area in vma.for_each_vma(mm):
        address = area.address
        gdb.set_convenience_variable(f"area{count}", gdb.Value(address).cast(pointer))
        count += 1
    gdb.execute(f"set $mm = (struct mm_struct *){mm}")
    gdb.execute(f"set $task = (struct task_struct *){task.get_current()}")
    return count


def name_nodes(mm: int) -> None:
    """Set $node to the root of the maple tree, and each area's $slot and $pivot."""
    tree = vma.tree_of(mm)
    word = gdb.lookup_type("unsigned long").pointer()
    gdb.execute("set $node = (struct maple_node *)((long)$mm->mm_mt.ma_root & ~255)")
    slot_at = structs.offsetof("struct maple_range_64", "slot")
    pivot_at = structs.offsetof("struct maple_range_64", "pivot")
    slots = (
        (node.address, i)
        for node in maple.for_each_node(tree)
        if node.is_leaf
        for i, slot in enumerate(node.slots)
        if slot
    )
    for area, (address, i) in enumerate(slots):
        for name, at in (("slot", slot_at), ("pivot", pivot_at)):
            place = gdb.Value(address + at + 8 * i).cast(word)
            gdb.set_convenience_variable(f"{name}{area}", place)


given = json.loads(os.environ["LAB_GIVEN"])
result = {"kind": "list" if vma.is_listed() else "maple"}

gdb.Breakpoint(check._filled[0].location, gdb.BP_HARDWARE_BREAKPOINT, temporary=True)
gdb.execute("continue")
call, buffer = check.calls[task.get_current()], task.register("rax")
tid = task.task_pid_vnr(call.task.address)


def ask_filled() -> list:
    hit.observe(call, buffer)
    return hit.judge(call, tid, None)[1]


result["areas"] = name_areas(call.mm)
result["right"] = payload.walk(call.task, call.mm, call.thread_sp).data.hex()
result["kernel"] = flipped(buffer, ask_filled)
if result["kind"] == "maple":
    name_nodes(call.mm)
given["filled"] = {
    name: change
    for name, change in given["filled"].items()
    if given["only"][name] in ("", result["kind"])
}
result["filled"] = changed(given["filled"], ask_filled)
result["restored"] = as_json(ask_filled())

gdb.execute("continue")  # to the hit


def ask_returned() -> list:
    call.faults.clear()
    return hit.judge(call, tid, hit.delivered(call, tid))[1]


result["delivered"] = flipped(call.info, ask_returned)
result["returned"] = changed(given["returned"], ask_returned)
ask_returned()
result["wrong tid"] = as_json(hit.judge(call, tid + 1, check.hits[-1].delivered)[1])

gdb.execute("seginfo run")
gdb.execute("continue")  # the guest must have survived it
result["passed"] = [hit.passed for hit in check.hits]
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(result, out)
