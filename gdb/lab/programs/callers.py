# SPDX-License-Identifier: GPL-2.0-only
"""The functions of a program that led to a system call, glibc's malloc among them."""

from __future__ import annotations

import struct
from itertools import islice

from ..linux import task
from ..linux.maps import Places
from ..linux.structs.x86 import PtRegs
from ..linux.task import Task
from ..target.memory import Broken, Fault
from .stack import UserStack

MOST = 12  # frames that are looked at
# Where a stack begins: below the program's own functions
BEGINNINGS = ("_start", "start_thread", "clone", "clone3", "__clone", "__clone3")
STARTERS = "__libc_start_"  # and what glibc has between _start() and main()
MALLOC = ("malloc", "calloc", "realloc", "free", "memalign", "posix_memalign")
NEW_HEAPS = ("new_heap", "alloc_new_heap", "arena_get2")  # of glibc's arena.c
# struct malloc_par mp_ of glibc's malloc.c: trim_threshold, top_pad, mmap_threshold
PARAMETERS, MALLOC_PAR = "mp_", struct.Struct("<16xQ")


class Caller:
    """The functions that led to a system call, as far as they are known."""

    def __init__(self, current: Task, regs: PtRegs) -> None:
        """Unwind a task's user stack.

        :param regs: its registers in user mode
        :raises Fault: the areas of its address space cannot be read
        """
        self._stack = UserStack(
            current.mm, Places(current.mm, task.onlooker_root()), ""
        )
        self.names: list[str] = []  # the innermost first
        try:
            for frame in islice(self._stack.unwind(regs), MOST):
                name = frame.symbol.rpartition("+")[0]
                if not name or name in BEGINNINGS or name.startswith(STARTERS):
                    break
                self.names.append(name)
        except (Broken, Fault):
            pass  # the callers found so far are kept
        self._ip = regs.ip

    @property
    def malloc(self) -> str:
        """The function of malloc's family that the program called, "" for none."""
        plain = map(_plain, reversed(self.names))
        return next((name for name in plain if name in MALLOC), "")

    @property
    def makes_heap(self) -> bool:
        """Does glibc make a heap for a thread, which it calls an arena?"""
        return any(name.split(".")[0] in NEW_HEAPS for name in self.names)

    @property
    def text(self) -> str:
        """Who called whom, from the outermost function in: main > malloc.

        Ends at malloc(): the functions it calls itself are left out.
        """
        shown = []
        for name in reversed(self.names):
            shown.append(name)
            if self.malloc and _plain(name) == self.malloc:
                break
        return " > ".join(shown)

    def mmap_threshold(self) -> int | None:
        """The size in bytes from which malloc() gives a block its own mmap().

        M_MMAP_THRESHOLD, which grows when such a block is freed: see mallopt(3).
        None where the program has no symbols or no glibc.
        """
        module = self._stack.modules.at(self._ip)
        place = module.file.variable(PARAMETERS) if module else None
        if module is None or place is None:
            return None
        try:
            data = self._stack.read(place + module.bias, MALLOC_PAR.size)
        except Fault:
            return None  # never touched
        value: int = MALLOC_PAR.unpack(data)[0]
        return value


def _plain(name: str) -> str:
    """malloc for __libc_malloc, which is the same function."""
    return name.removeprefix("__libc_").lstrip("_")
