# SPDX-License-Identifier: GPL-2.0-only
"""What points where at a stop: program counter, stack pointer, the last argument.

The debug info tells the last argument of a C function or system call that is an
address: a pointer, or a number with a name that addresses have.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import gdb

from ..linux import errno, kallsyms, regions, registers, stack, syscalls
from ..linux.mm_changes import Piece
from ..linux.processors import MASK, Processor
from ..target.memory import PAGE_SIZE

# Parameters of system calls that are addresses, though C passes them as numbers
ADDRESSES = ("addr", "start", "brk", "new_addr", "newsp", "shmaddr")
# The other way round: what the function behind a system call is called
FUNCTIONS = {name: function for function, name in registers.RENAMED.items()}


@dataclass(frozen=True)
class Pointer:
    """One thing that points, and where to."""

    name: str  # "$pc", "user sp", ...
    address: int | None  # None if it is not known
    place: str  # what is there, or why it is not known
    what: str = ""  # of an argument: its name and whose it is
    area: Piece | None = None  # the area it points into


class Pointers:
    """Says where pointers point.

    Parameters: the selected processor, the areas of its current task, low to high.
    """

    def __init__(self, processor: Processor, areas: tuple[Piece, ...]) -> None:
        self.processor = processor
        self.areas = areas
        self._starts = [one.start for one in areas]
        self._stacks: list[stack.Stack] | None = None

    def all(self) -> list[Pointer]:
        """$pc, $sp and argument of the selected frame, then those of user mode.

        Raises memory.Fault, gdb.error.
        """
        frame = gdb.selected_frame()
        level = f" #{frame.level()}" if frame.level() else ""
        sp = int(frame.read_register("rsp")) & MASK
        found = [
            self.pointer(f"$pc{level}", frame.pc()),
            self.pointer(f"$sp{level}", sp),
            self._of_frame(frame),
        ]
        if not self.processor.in_user_mode and self.areas:
            found += self._of_user_mode()
        return found

    def pointer(self, name: str, address: int, what: str = "") -> Pointer:
        """A pointer whose value is known. Raises memory.Fault."""
        area = self.find(address)
        if area is not None:
            place = f"{area.name or '[anon]'}+{offset(area, address):#x}"
        elif address >> 63:
            place = self._kernel_place(address)
        else:
            place = "in no area" if address else "NULL"
        return Pointer(name, address, place, what, area)

    def find(self, address: int) -> Piece | None:
        """The area around an address, None in a gap."""
        before = bisect.bisect_right(self._starts, address)
        if not before or address >= self.areas[before - 1].end:
            return None
        return self.areas[before - 1]

    def _kernel_place(self, address: int) -> str:
        """What an address of the kernel's half belongs to."""
        if errno.is_error(errno.to_long(address)):
            return f"error {errno.result_text(errno.to_long(address))}"
        if self._stacks is None:
            self._stacks = self._known_stacks()
        for one in self._stacks:
            if one.start <= address < one.end:
                return f"{one.name} stack+{address - one.start:#x}"
        if kallsyms.is_kernel_text(address):
            return kallsyms.sprint_short(address)
        start, end = regions.image()
        if start <= address < end:
            return kallsyms.symbol_name(address) or "kernel image"
        region = regions.region_of(address)
        if region is None:
            return "unused, see `lab kernel`"
        return f"{region.name}+{address - region.start:#x}"

    def _known_stacks(self) -> list[stack.Stack]:
        start = registers.task_stack_page(self.processor.current)
        found = stack.processor_stacks(self.processor)
        if start:
            end = start + registers.thread_size()
            found.append(stack.Stack("kernel", start, end))
        return found

    def _of_frame(self, frame: gdb.Frame) -> Pointer:
        """The last pointer among the arguments of the selected frame's function."""
        function = frame.function()
        if function is None:
            code = "user" if self.processor.in_user_mode else "this"
            return Pointer("arg", None, f"not known: no debug info for {code} code")
        found = [one for one in _arguments(frame) if _is_pointer(one)]
        if not found:
            return Pointer("arg", None, f"{function.name}() takes no pointer")
        what = f"{found[-1].name} of {function.name}()"
        try:
            value = found[-1].value(frame)
            if value.is_optimized_out:
                return Pointer("arg", None, "optimized out here", what)
            address = int(value) & MASK
        except gdb.error as problem:
            return Pointer("arg", None, f"not known: {problem}", what)
        return self.pointer("arg", address, what)

    def _of_user_mode(self) -> list[Pointer]:
        """Where user mode was left, and the last pointer it gave a system call."""
        found = registers.of_user_mode(self.processor.current, self.processor)
        if found is None:
            return []
        if kallsyms.in_entry_text(self.processor.ip):
            why = "not known: entry code saves or restores it"
            return [Pointer("user pc", None, why)]
        regs, _ = found
        pointers = [self.pointer("user pc", regs.ip), self.pointer("user sp", regs.sp)]
        number = registers.syscall_get_nr(regs)
        return pointers + ([self._of_call(number, regs)] if number >= 0 else [])

    def _of_call(self, number: int, regs: registers.Registers) -> Pointer:
        name = registers.syscall_name(number)
        if not name:
            return Pointer("user arg", None, f"the kernel has no call {number}")
        known = syscalls.parameters(FUNCTIONS.get(name, name))
        values = registers.syscall_get_arguments(regs)
        for one, value in reversed(list(zip(known, values))):
            if one.pointer or one.name in ADDRESSES:
                return self.pointer("user arg", value, f"{one.name} of {name}()")
        return Pointer("user arg", None, f"{name}() takes no pointer")


def offset(area: Piece, address: int) -> int:
    """How far an address is into the mapped file, or into an area without one."""
    return address - area.start + (area.pgoff * PAGE_SIZE if area.file else 0)


def _arguments(frame: gdb.Frame) -> list[gdb.Symbol]:
    """The parameters of a frame's function in order, [] where they are not known."""
    try:
        block = frame.block()
    except RuntimeError:  # no debug info for this place
        return []
    while block is not None and block.function is None:
        block = block.superblock
    if block is None:
        return []
    found = [one for one in block if one.is_argument]
    # gcc lists those of an inlined function backwards
    return found[::-1] if frame.type() == gdb.INLINE_FRAME else found


def _is_pointer(symbol: gdb.Symbol) -> bool:
    return symbol.type.strip_typedefs().code == gdb.TYPE_CODE_PTR
