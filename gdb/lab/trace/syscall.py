# SPDX-License-Identifier: GPL-2.0-only
"""lab trace syscall: any system call, its arguments and its result."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..linux import kallsyms, registers, task
from ..linux.errno import is_error, result_text
from ..linux.registers import RENAMED, WRAPPER
from ..linux.syscalls import Argument, Decoder
from ..result import Number, Table, Words
from ..target import structs
from ..target.debugger import Refused
from .engine import Timeline, Tracer
from .event import Call, Event, Moment, Point, system_calls


class SyscallRow(NamedTuple):
    """How often a system call was made, and failed."""

    syscall: Words
    calls: Number
    errors: Number


UNKNOWN = "ni_syscall"  # what sys_call_table has where there is none
RESTORES = "rt_sigreturn"  # its result is the %rax of the code that goes on
RETURN_ADDRESSES = ("mmap", "mremap", "brk", "shmat")


@dataclass(frozen=True, kw_only=True)
class SyscallEvent(Event, timeline="syscall"):
    """A system call that has returned, or never will."""

    syscall: Words
    arguments: dict[str, int]  # by the parameters' names
    texts: dict[str, str]  # the same for a person
    result: Number | None


@dataclass(frozen=True)
class Entered:
    """A call that was entered."""

    name: str
    arguments: list[Argument]


class Syscalls(Timeline):
    """The system calls whose names were given, or all of them."""

    name = "syscall"
    follows = "system calls by name: arguments and results"

    def __init__(self, tracer: Tracer, names: list[str]) -> None:
        super().__init__(tracer)
        self.functions = list(dict.fromkeys(map(_function, names)))  # each once
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def points(self) -> list[Point]:
        return system_calls(self.functions, self._enter, self._leave, self._ended)

    def _enter(self, moment: Moment, function: str) -> Entered:
        regs = registers.pt_regs(moment.argument(0))
        decoder = Decoder(moment.task.address, task.onlooker_root())
        name = RENAMED.get(function, function)
        if function == UNKNOWN:
            name = f"syscall {registers.syscall_get_nr(regs)}"
        return Entered(name, decoder.arguments(function, regs))

    def _leave(self, moment: Moment, call: Call) -> None:
        result = moment.result
        name = call.note.name
        if name == RESTORES:
            self._tell(moment, call.note, "restores the registers", None)
            return
        failed = is_error(result)
        self.errors[name] += failed
        is_address = name in RETURN_ADDRESSES and not failed
        value = f"{moment.pointer:#x}" if is_address else result_text(result)
        self._tell(moment, call.note, f"= {value}", result)

    def _ended(self, moment: Moment, call: Call) -> None:
        self._tell(call.entered, call.note, "does not return", None)

    def _tell(
        self, moment: Moment, entered: Entered, outcome: str, result: int | None
    ) -> None:
        self.calls[entered.name] += 1
        texts = {given.name: given.text for given in entered.arguments}
        inside = ", ".join(f"{name}={shown}" for name, shown in texts.items())
        event = SyscallEvent(
            what=f"{entered.name}({inside}) {outcome}",
            syscall=entered.name,
            arguments={given.name: given.value for given in entered.arguments},
            texts=texts,
            result=result,
        )
        self.tracer.emit(moment, event)

    def summary(self) -> list[Any]:
        rows = [
            SyscallRow(name, count, self.errors[name])
            for name, count in self.calls.most_common()
        ]
        return [Table(SyscallRow, "System calls", rows)]


def _function(name: str) -> str:
    """The name a system call has in the kernel: newfstat for fstat.

    Raises Refused for a name that no call has.
    """
    inside = {shown: function for function, shown in RENAMED.items()}
    function = inside.get(name, name)
    if structs.has_symbol(WRAPPER + function):
        return function
    raise Refused(
        f"This kernel has no system call {name}; `info functions ^{WRAPPER}` "
        "lists those it has."
    )


def all_names() -> list[str]:
    """Every system call of this kernel, and UNKNOWN for any other number."""
    table = kallsyms.kallsyms()
    names = (table.name(i) for i in range(len(table.addresses))) if table else ()
    found = {name.removeprefix(WRAPPER) for name in names if name.startswith(WRAPPER)}
    return sorted(found)
