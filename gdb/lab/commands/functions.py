# SPDX-License-Identifier: GPL-2.0-only
"""$lab_task, $lab_mm, $lab_vma, $lab_symbol: what the kernel has, in gdb's expressions."""

from __future__ import annotations

import gdb

from ..linux import vma
from ..reports import symbol
from ..target.debugger import Refused
from ..target.unforeseen import refused
from .arguments import mm_of, task_of, user_address
from .base import check_kernel


class Function(gdb.Function):
    """A convenience function. A subclass has a name, its help, and find()."""

    name = ""

    def __init__(self) -> None:
        super().__init__(self.name)

    def find(self, arguments: list[str]) -> gdb.Value:
        """The function's value. Raises Refused, Fault, Broken."""
        raise NotImplementedError

    def invoke(self, *arguments: gdb.Value) -> gdb.Value:
        with refused(f"${self.name}"):
            check_kernel()
            return self.find([self.word(argument) for argument in arguments])

    def word(self, argument: gdb.Value) -> str:
        """An argument as a person would type it: a number."""
        return str(int(argument))

    def one_of(self, arguments: list[str], least: int, usage: str) -> list[str]:
        """The arguments, with "" for the last one if it is not there."""
        if not least <= len(arguments) <= least + 1:
            raise Refused(f"Usage: ${self.name}({usage}).")
        return [*arguments, ""][: least + 1]


def pointer(address: int, type_name: str) -> gdb.Value:
    """An address as a pointer to a type of the kernel, such as "struct mm_struct"."""
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer())


class TaskFunction(Function):
    """The task_struct of a process or thread: $lab_task([PID])

    PID is its id; the default is the current task.

    Example:
        (gdb) print $lab_task(1)->comm
    """

    name = "lab_task"

    def find(self, arguments: list[str]) -> gdb.Value:
        (pid,) = self.one_of(arguments, 0, "[PID]")
        return pointer(task_of(pid), "struct task_struct")


class MmFunction(Function):
    """The mm_struct of a process: $lab_mm([PID])

    PID is its id; the default is the current task.

    Example:
        (gdb) print *$lab_mm(1)
    """

    name = "lab_mm"

    def find(self, arguments: list[str]) -> gdb.Value:
        (pid,) = self.one_of(arguments, 0, "[PID]")
        _, mm = mm_of(pid)
        return pointer(mm, "struct mm_struct")


class VmaFunction(Function):
    """The area that holds an address: $lab_vma(ADDRESS[, PID])

    A vm_area_struct *, NULL if no area holds the address. PID is the id of the
    process; the default is the current task's.

    Example:
        (gdb) print/x $lab_vma($lab_mm()->start_code)->vm_flags
    """

    name = "lab_vma"

    def find(self, arguments: list[str]) -> gdb.Value:
        where, pid = self.one_of(arguments, 1, "ADDRESS[, PID]")
        address = user_address(where)
        _, mm = mm_of(pid)
        found = vma.vma_lookup(mm, address)
        return pointer(found.address if found else 0, "struct vm_area_struct")


class SymbolFunction(Function):
    """The address of a symbol of the kernel or of a module: $lab_symbol("NAME")

    A void *. A module's symbols are known as soon as it is loaded, without lx-symbols.

    Example: stop where the module lab_pages asks for pages.
        (gdb) hbreak *$lab_symbol("lab_pages_asks")
    """

    name = "lab_symbol"

    def word(self, argument: gdb.Value) -> str:
        try:
            return str(argument.string(errors="backslashreplace"))
        except gdb.error:
            raise Refused(f'Usage: ${self.name}("NAME").') from None

    def find(self, arguments: list[str]) -> gdb.Value:
        if len(arguments) != 1:
            raise Refused(f'Usage: ${self.name}("NAME").')
        (name,) = arguments
        places = sorted(symbol.address_of_all(name))
        if len(places) != 1:
            there = ", ".join(f"{place:#x}" for place in places) or "none"
            raise Refused(f"{name} is no name of one symbol: there are {there}.")
        return gdb.Value(places[0]).cast(gdb.lookup_type("void").pointer())


FUNCTIONS = (TaskFunction, MmFunction, VmaFunction, SymbolFunction)
