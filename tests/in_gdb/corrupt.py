# SPDX-License-Identifier: GPL-2.0-only
"""A guest in which something is wrong at every call, for a whole `make verify`.

Read by gdb before gdb/verify.py, so these breakpoints are older than those of
the check and act first where both stop. $LAB_GIVEN says what is to be false:
"kernel" (a word of the kernel's buffer), "delivered" (a word in user memory) or
"area" (vm_start of an area; undone at the return, or the guest would not live).
"""

import os
import sys

import gdb

sys.path.insert(0, "gdb")
from lab import kernel, task, vma  # noqa: E402
from lab.syscall import ENTRY, FILL, PT_REGS  # noqa: E402

WHAT = os.environ["LAB_GIVEN"]
BIT = 0x1000


def flip(address: int) -> None:
    """Flip one bit in a word of the guest."""
    inferior = gdb.selected_inferior()
    word = int.from_bytes(inferior.read_memory(address, 8), "little") ^ BIT
    inferior.write_memory(address, word.to_bytes(8, "little"))


class At(gdb.Breakpoint):
    """Do something at an instruction and go on."""

    def __init__(self, address: int, act) -> None:
        super().__init__(f"*{address:#x}", internal=True)
        self.act = act

    def stop(self) -> bool:
        self.act()
        return False


user: dict[int, int] = {}  # the buffer of each task
touched: dict[int, int] = {}  # the member that is to be put right again


def entry() -> None:
    user[task.get_current()] = PT_REGS(kernel.memory(), task.register("rdi")).di


def filled() -> None:
    if WHAT == "kernel":
        flip(task.register("rax") + 16)  # start_data
    if WHAT == "area":
        current = task.get_current()
        areas = vma.for_each_vma(task.task(current).mm)
        next(areas)
        touched[current] = next(areas)[0]  # vm_start, the first member
        flip(touched[current])


def returning() -> None:
    current = task.get_current()
    if WHAT == "delivered":
        flip(user[current] + 88 + 2 * 40 + 8)  # ma[2].vm_end
    if current in touched:
        flip(touched.pop(current))


def returns(function: str) -> list[int]:
    """The return instructions of a function."""
    return [
        address
        for address, operation, operands in kernel.instructions(function)
        if operation.startswith("ret") or "<__x86_return_thunk>" in operands
    ]


At(kernel.instructions(ENTRY)[0][0], entry)
for place in returns(FILL):
    At(place, filled)
for place in returns(ENTRY):
    At(place, returning)
