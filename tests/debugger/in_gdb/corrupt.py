# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: falsify something at every call, for a whole `make verify`.

Read by gdb before gdb/verify.py, so these breakpoints are older than those of the check,
and act first where both stop. $LAB_GIVEN says what to falsify: "kernel" (a word of the
kernel's buffer), "delivered" (a word in user memory) or "area" (vm_start of an area; it is
restored at the return, or the guest would not survive). gdb may reach a stop a second
time, which must not change anything then: so each step is done twice.
"""
import os
import sys

import gdb

sys.path.insert(0, "gdb")
from lab.check.hit import FILL  # noqa: E402
from lab.check.stops import ENTRY  # noqa: E402
from lab.linux import task, vma  # noqa: E402
from lab.linux.structs.x86 import PtRegs  # noqa: E402
from lab.target import gdb_debugger, kernel, structs  # noqa: E402
from lab.target.debugger import debugger, use  # noqa: E402

WHAT = os.environ["LAB_GIVEN"]
BIT = 0x1000


right: dict[int, bytes] = {}  # what was at an address before it was falsified


def falsify(address: int) -> None:
    """Flip one bit in a word of the guest."""
    inferior = gdb.selected_inferior()
    if address not in right:
        right[address] = bytes(inferior.read_memory(address, 8))
    word = int.from_bytes(right[address], "little") ^ BIT
    inferior.write_memory(address, word.to_bytes(8, "little"))


class At(gdb.Breakpoint):
    """Do something at an instruction and continue."""

    def __init__(self, address: int, act) -> None:
        super().__init__(f"*{address:#x}", internal=True)
        self.act = act

    def stop(self) -> bool:
        self.act()
        self.act()
        return False


user: dict[int, int] = {}  # the buffer of each task


def entry() -> None:
    right.clear()  # one call at a time: the last one's changes are restored by now, or gone
    user[task.get_current()] = PtRegs(kernel.memory(), task.register("rdi")).di


def filled() -> None:
    if WHAT == "kernel":
        falsify(task.register("rax") + 16)  # start_data
    if WHAT == "area":
        areas = vma.for_each_vma(task.task(task.get_current()).mm)
        next(areas)
        place = structs.offsetof("struct vm_area_struct", "vm_start")
        falsify(next(areas).address + place)


def returning() -> None:
    if WHAT == "delivered":
        falsify(user[task.get_current()] + 88 + 2 * 40 + 8)  # ma[2].vm_end
    if WHAT == "area":
        for address, word in right.items():
            gdb.selected_inferior().write_memory(address, word)


def instructions(function: str) -> list[tuple[int, str, str]]:
    """Return address, operation and operands of each instruction of a function."""
    found = debugger().instructions(function)
    return [
        (instruction.address, instruction.operation, instruction.operands)
        for instruction in found
    ]


def returns(function: str) -> list[int]:
    """Return the addresses of a function's return instructions."""
    return [
        address
        for address, operation, operands in instructions(function)
        if operation.startswith("ret") or "<__x86_return_thunk>" in operands
    ]


use(gdb_debugger.GdbDebugger())
At(instructions(ENTRY)[0][0], entry)
for place in returns(FILL):
    At(place, filled)
for place in returns(ENTRY):
    At(place, returning)
