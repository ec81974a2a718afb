# SPDX-License-Identifier: GPL-2.0-only
"""The stack of a task in user mode, frame by frame.

Compilers keep no frame pointers unless told to, so a caller is found with the
call frame information of the program's ELF file. Where no such file is known,
rbp may be a frame pointer: the result is called a guess.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Iterator, Literal

from ..linux import mm as mm_
from ..linux.maps import Places
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..linux.structs.x86 import PtRegs
from ..linux.vmflags import VM_GROWSDOWN
from ..target.cstruct import Ptr
from ..target.memory import Broken, Fault
from .callframe import Frame as Rules, Rule
from .dwarfexpr import MASK, Expression, Unknown
from .userelf import Module, Modules

RBP, RSP, RIP = 6, 7, 16  # DWARF's numbers, x86-64 psABI, figure 3.36
NUMBERS = {  # in its order
    **{0: "ax", 1: "dx", 2: "cx", 3: "bx", 4: "si", 5: "di", RBP: "bp", RSP: "sp"},
    **{number: f"r{number}" for number in range(8, 16)},
    **{RIP: "ip"},
}
KEPT = (3, RBP, 12, 13, 14, 15)  # callee-saved: a function leaves them as they were
MOST = 10_000  # frames, so that every walk ends
STACK_LIMIT = 8 << 20  # _STK_LIM: how far a stack grows unless told otherwise
WORD = struct.Struct("<Q")
PAIR = struct.Struct("<QQ")

Kind = Literal["here", "call", "interrupted"]


@dataclass(frozen=True)
class UserFrame:
    """One entry of a backtrace."""

    kind: Kind  # where it is, a return address, or where a signal interrupted
    ip: int
    sp: int
    symbol: str  # NAME+OFFSET, "" if not known
    module: Module | None
    inside: int  # an address in the instruction under way, also in a call
    place: str  # the file, or kind of area, and the offset in it
    found_by: str

    @property
    def source(self) -> str:
        """FILE:LINE, "" if not known. Slow: decodes the line numbers of a whole unit."""
        if self.module is None:
            return ""
        return self.module.file.line(self.inside - self.module.bias)


class UserStack:
    """Unwinds one task.

    :param where: the areas of the process
    :param given: path of an ELF file to try first, "" for none
    """

    def __init__(self, mm: Ptr[MmStruct], where: Places, given: str) -> None:
        self.mm = mm
        self.places = where
        self.modules = Modules(where, self.read, given)

    def read(self, address: int, size: int) -> bytes:
        """Read the process's memory. Raises Fault."""
        return mm_.access_process_vm(self.mm, address, size)

    def word(self, address: int) -> int:
        """Read 64 bits of the process's memory. Raises Fault."""
        word: int = WORD.unpack(self.read(address, WORD.size))[0]
        return word

    def unwind(self, regs: PtRegs) -> Iterator[UserFrame]:
        """The frames from these registers on, innermost first.

        Raises Broken after what could be read.
        """
        registers = {number: getattr(regs, name) for number, name in NUMBERS.items()}
        kind: Kind = "here"
        found_by = "registers"
        seen = set()
        for _ in range(MOST):
            ip = registers[RIP]
            # A call may be the last instruction of its function, and what it
            # returns to already another function.
            inside = ip - (kind == "call")
            module = self.modules.at(inside)
            rules = _rules(module, inside)
            if rules is not None and rules.is_signal:
                inside = ip  # nobody called this: the kernel put it there
            yield self._frame(kind, registers, module, inside, found_by)
            stack = self._stack(registers[RSP])
            following: dict[int, int] | None
            if rules is None:
                following = self._guess(registers, stack, module)
                found_by = "frame pointer, a guess"
            else:
                following = self._apply(rules, registers)
                found_by = "call frame info"
            if following is None:
                return  # where the thread began
            is_signal = rules is not None and rules.is_signal
            if not is_signal and not self.places.is_code(following[RIP]):
                raise Broken(
                    f"the return address {following[RIP]:#x} is no code of the process"
                )
            # The caller's frame need not be further up: the stack pointer is the same
            # when the return address is in a register, as in vfork().
            seen.add((registers[RSP], ip))
            if (following[RSP], following[RIP]) in seen:
                raise Broken(f"the frame at {following[RSP]:#x} comes again")
            registers = following
            kind = "interrupted" if is_signal else "call"
        raise Broken(f"more than {MOST} frames")

    def _frame(
        self,
        kind: Kind,
        registers: dict[int, int],
        module: Module | None,
        inside: int,
        found_by: str,
    ) -> UserFrame:
        ip = registers[RIP]
        symbol = ""
        if module is not None:
            found = module.file.symbol(inside - module.bias)
            if found is not None:
                symbol = f"{found[0]}+{found[1] + ip - inside:#x}"
        place = self.places.text(ip)
        sp = registers[RSP]
        return UserFrame(
            kind=kind,
            ip=ip,
            sp=sp,
            symbol=symbol,
            module=module,
            inside=inside,
            place=place,
            found_by=found_by,
        )

    def _apply(self, rules: Rules, registers: dict[int, int]) -> dict[int, int] | None:
        """The caller's registers, None where the stack ends. Raises Broken."""
        try:
            cfa = self._cfa(rules.row.cfa, registers)
            found = {n: registers[n] for n in KEPT if n in registers}
            found[RSP] = cfa
            for number, rule in rules.row.rules.items():
                value = self._value(rule, number, registers, cfa)
                found.pop(number, None)
                if value is not None:
                    found[number] = value
        except (Fault, Unknown) as trouble:
            raise Broken(f"the caller's registers: {trouble}") from None
        found[RIP] = found.pop(rules.return_register, 0)
        return found if found[RIP] else None

    def _cfa(self, rule: Rule, registers: dict[int, int]) -> int:
        """The canonical frame address: the caller's stack pointer."""
        kind, *operands = rule
        if kind == "expression":
            expression: Expression = operands[0]
            return expression.value(registers, self.word)
        if kind != "register" or operands[0] not in registers:
            raise Unknown("the frame's address is not known")
        register, offset = operands
        return registers[register] + int(offset) & MASK

    def _value(
        self, rule: Rule, number: int, registers: dict[int, int], cfa: int
    ) -> int | None:
        """A register of the caller, None if it cannot be known."""
        kind, *operands = rule
        if kind in ("offset", "val_offset"):
            place = cfa + int(operands[0]) & MASK
            return self.word(place) if kind == "offset" else place
        if kind == "register":
            return registers.get(operands[0])
        if kind in ("expression", "val_expression"):
            expression: Expression = operands[0]
            found = expression.value(registers, self.word, cfa)
            return self.word(found) if kind == "expression" else found
        return registers.get(number) if kind == "same" else None

    def _stack(self, sp: int) -> VmAreaStruct:
        """The area that a stack pointer is in, or the stack that will grow to it.

        Raises Broken if there is none: a program may have put anything into rsp.
        """
        if sp >> 63:
            raise Broken(f"the stack pointer {sp:#x} is in the kernel's half")
        # The first frame of a stack of the program's own may end where that does.
        area = self.places.find(sp) or self.places.find(sp - 1)
        if area is None:
            area = self.places.above(sp)
            grows = area is not None and area.vm_flags & VM_GROWSDOWN
            if area is None or not grows or area.vm_start - sp > STACK_LIMIT:
                raise Broken(f"the stack pointer {sp:#x} is in no area of the process")
        return area

    def _guess(
        self, registers: dict[int, int], stack: VmAreaStruct, module: Module | None
    ) -> dict[int, int]:
        """The caller's registers if rbp points to a frame, as on kernel stacks.

        Raises Broken if it does not.
        """
        bp = registers.get(RBP, 0)
        if registers[RSP] <= bp and stack.vm_start <= bp < stack.vm_end:
            try:
                above, ip = PAIR.unpack(self.read(bp, PAIR.size))
            except Fault:
                ip = 0
            if self.places.is_code(ip):
                return {RBP: above, RSP: bp + PAIR.size, RIP: ip}
        ip = registers[RIP]
        if module is None:
            why = "no ELF file is known for it"
        else:
            why = f"{module.file.name} has no call frame info for it"
        raise Broken(f"who called {ip:#x} cannot be told: {why}")


def _rules(module: Module | None, address: int) -> Rules | None:
    """The rules for an address of a process."""
    return module.file.rules(address - module.bias) if module else None
