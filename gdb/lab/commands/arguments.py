# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of a command, from the words a person typed. Needs no gdb.

Whatever is wrong with one is Refused, with a sentence that says what to type instead.
"""

from __future__ import annotations

from ..linux import mm as mm_, pgtable, task
from ..linux.structs.mm_types import MmStruct
from ..linux.structs.sched import TaskStruct
from ..reports.addresses import canonical
from ..target import kernel
from ..target.cstruct import Ptr
from ..target.debugger import Refused, debugger


def take(command: str, arguments: list[str], names: tuple[str, ...]) -> list[str]:
    """The arguments with these names; "" for an "[OPTIONAL]" one that is not there.

    :param command: as it is typed, such as "lab vma"
    :raises Refused: there are more or fewer; the sentence shows the usage
    """
    least = sum(not name.startswith("[") for name in names)
    if not least <= len(arguments) <= len(names):
        usage = " ".join((command, *names))
        raise Refused(f"Usage: {usage} [--json]; see `help {command}`.")
    return arguments + [""] * (len(names) - len(arguments))


def take_json(arguments: list[str]) -> bool:
    """Whether --json is among the arguments, wherever it stands; it is removed."""
    as_json = "--json" in arguments
    if as_json:
        arguments.remove("--json")
    return as_json


def number(argument: str, what: str) -> int:
    """The value of any expression the debugger takes, as an unsigned 64-bit number.

    :param what: what it should be, for the sentence: "address", "PID"
    :raises Refused: it has no value
    """
    try:
        return debugger().evaluate(argument)
    except Refused as why:
        raise Refused(f"{argument} is no {what}: {why}") from None


def task_of(argument: str) -> Ptr[TaskStruct]:
    """The task with this PID, current if the argument is empty.

    :raises Refused: there is no such task
    :raises Broken: a list of tasks is damaged
    """
    if not argument:
        return Ptr(task.get_current())
    pid = number(argument, "PID")
    found = task.find_task_by_pid(pid)
    if found is None:
        raise Refused(f"There is no task {pid}; `lab threads` lists all there are.")
    return Ptr(found)


def mm_of(argument: str) -> tuple[Ptr[TaskStruct], Ptr[MmStruct]]:
    """The task with this PID and its address space.

    If it has ended and its process goes on, another thread of the process: the memory
    is the same.

    :raises Refused: there is no such task, or it has no memory
    :raises Broken: a list of tasks is damaged
    """
    address = task_of(argument)
    owner = task.with_memory(address)
    if owner is None:
        read, why = task.task(address), task.why_no_memory(address)
        raise Refused(
            f"Task {read.pid} ({read.comm}) {why}: it has no address space of its own."
        )
    return Ptr(owner.address), Ptr(owner.mm)


def user_address(argument: str) -> int:
    """An address in the user's half.

    :raises Refused: it is not canonical, or in the kernel's half
    """
    address = canonical(number(argument, "address"), kernel.memory().levels)
    if address >= pgtable.USER_HALF:
        raise Refused(
            f"{address:#x} is in the kernel's half, where there are no areas; "
            "`lab kernel` shows what is there, `lab walk` how it is mapped."
        )
    return address


def page_tables(address: int, pid: str) -> tuple[int, str]:
    """The page tables that translate an address, and whose they are in words.

    The kernel's half is the same for all tasks; there PID only has to be one.

    :returns: the top table's physical address, and "the memory of PID (COMM)"
    :raises Refused: it is not canonical, or a user address of a task without memory
    """
    guest = kernel.memory()
    canonical(address, guest.levels)
    if address >= pgtable.USER_HALF:
        if pid:
            task_of(pid)
        return guest.kernel_pgd, "the kernel's memory"
    owner, mm = mm_of(pid)
    read = task.task(owner)
    return mm_.pgd_of(mm), f"the memory of {read.pid} ({read.comm})"
