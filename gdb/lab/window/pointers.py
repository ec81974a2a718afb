# SPDX-License-Identifier: GPL-2.0-only
"""Where the program counter, the stack pointer and the last argument point at a stop.

The last argument is the last one of the C function, or of the system call, that is an
address: a pointer by the debug info, or a number with a name that addresses have.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any, Iterable, cast

import gdb

from ..linux import errno, kallsyms, regions, registers, stack, syscalls
from ..linux.mm_changes import Piece
from ..linux.processors import MASK, Processor
from ..linux.structs.x86 import PtRegs
from ..target.memory import PAGE_SIZE

# Parameters of system calls that are addresses, though C passes them as numbers
ADDRESSES = ("addr", "start", "brk", "new_addr", "newsp", "shmaddr")
# By a system call's name, the kernel function behind it where that has another name
FUNCTIONS = {name: function for function, name in registers.RENAMED.items()}


@dataclass(frozen=True)
class Pointer:
    """A register or argument, and where it points."""

    name: str  # "$pc", "user sp", ...
    address: int | None  # None if unknown
    place: str  # what is there, or why the address is unknown
    what: str = ""  # of an argument: its name and its function
    area: Piece | None = None  # the area it points into


class Pointers:
    """Tells where pointers point.

    :param processor: the selected one
    :param areas: of its current task, lowest first
    """

    def __init__(self, processor: Processor, areas: tuple[Piece, ...]) -> None:
        self.processor = processor
        self.areas = areas
        self._starts = [area.start for area in areas]
        self._stacks: list[stack.Stack] | None = None

    def all(self) -> list[Pointer]:
        """$pc, $sp and last pointer argument of the selected frame, then those of user mode.

        :raises Fault: what they belong to cannot be read
        :raises gdb.error: there is no frame
        """
        frame = gdb.selected_frame()
        level = f" #{frame.level()}" if frame.level() else ""
        sp = int(frame.read_register("rsp")) & MASK
        found = [
            self.pointer(f"$pc{level}", int(frame.pc())),
            self.pointer(f"$sp{level}", sp),
            self._of_frame(frame),
        ]
        if not self.processor.in_user_mode and self.areas:
            found += self._of_user_mode()
        return found

    def pointer(self, name: str, address: int, what: str = "") -> Pointer:
        """A pointer whose value is known.

        :raises Fault: what the kernel has there cannot be read
        """
        area = self.find(address)
        if area is not None:
            place = f"{area.name or '[anon]'}+{offset(area, address):#x}"
        elif address >> 63:
            place = self._kernel_place(address)
        else:
            place = "in no area" if address else "NULL"
        return Pointer(name, address, place, what, area)

    def find(self, address: int) -> Piece | None:
        """The area that holds an address, None in a gap: vma_lookup() on the areas read."""
        before = bisect.bisect_right(self._starts, address)
        if not before or address >= self.areas[before - 1].end:
            return None
        return self.areas[before - 1]

    def _kernel_place(self, address: int) -> str:
        """What an address in the kernel's half belongs to."""
        if errno.is_error(errno.to_long(address)):
            return f"error {errno.result_text(errno.to_long(address))}"
        if self._stacks is None:
            self._stacks = self._known_stacks()
        for known in self._stacks:
            if known.start <= address < known.end:
                return f"{known.name} stack+{address - known.start:#x}"
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
        """The last pointer among the arguments of a frame's function."""
        function = frame.function()
        if function is None:
            code = "user" if self.processor.in_user_mode else "this"
            return Pointer("arg", None, f"not known: no debug info for {code} code")
        pointers = [symbol for symbol in _arguments(frame) if _is_pointer(symbol)]
        if not pointers:
            return Pointer("arg", None, f"{function.name}() takes no pointer")
        last = pointers[-1]
        what = f"{last.name} of {function.name}()"
        try:
            value = last.value(frame)
            if value.is_optimized_out:
                return Pointer("arg", None, "optimized out here", what)
            address = int(value) & MASK
        except gdb.error as problem:
            return Pointer("arg", None, f"not known: {problem}", what)
        return self.pointer("arg", address, what)

    def _of_user_mode(self) -> list[Pointer]:
        """Where user mode was left, and the last pointer it passed to a system call."""
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

    def _of_call(self, number: int, regs: PtRegs) -> Pointer:
        name = registers.syscall_name(number)
        if not name:
            return Pointer("user arg", None, f"the kernel has no call {number}")
        known = syscalls.parameters(FUNCTIONS.get(name, name))
        values = registers.syscall_get_arguments(regs)
        for parameter, value in reversed(list(zip(known, values))):
            if parameter.pointer or parameter.name in ADDRESSES:
                return self.pointer("user arg", value, f"{parameter.name} of {name}()")
        return Pointer("user arg", None, f"{name}() takes no pointer")


def offset(area: Piece, address: int) -> int:
    """The offset of an address in the mapped file, or in an area without one; in bytes."""
    return address - area.start + (area.pgoff * PAGE_SIZE if area.file else 0)


def _arguments(frame: gdb.Frame) -> list[gdb.Symbol]:
    """The parameters of a frame's function in order, [] if it has no debug info."""
    block: gdb.Block | None
    try:
        block = frame.block()
    except RuntimeError:  # no debug info for this place
        return []
    while block is not None and block.function is None:
        block = block.superblock
    if block is None:
        return []
    # A gdb.Block is iterable, which typeshed does not say
    symbols: Iterable[gdb.Symbol] = cast(Any, block)
    found = [symbol for symbol in symbols if symbol.is_argument]
    # gcc lists those of an inlined function backwards
    return found[::-1] if frame.type() == gdb.INLINE_FRAME else found


def _is_pointer(symbol: gdb.Symbol) -> bool:
    kind = symbol.type
    return kind is not None and kind.strip_typedefs().code == gdb.TYPE_CODE_PTR
