# SPDX-License-Identifier: GPL-2.0-only
"""Where an exec puts stack, heap, mappings and vdso: include/linux/elf-randomize.h.

Each Spread is the range in which load_elf_binary() in fs/binfmt_elf.c and what it calls
choose, for a process that is not randomised a single address.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.debugger import Missing, debugger
from ..target.memory import PAGE_SIZE, Broken
from . import mm as mm_
from .regions import PMD_SIZE
from .structs.mm_types import MmStruct
from .structs.sched import SignalStruct, TaskStruct

PF_RANDOMIZE = 0x40_0000  # include/linux/sched.h
ADDR_NO_RANDOMIZE = 0x4_0000  # include/uapi/linux/personality.h
DEFAULT_MAP_WINDOW = (1 << 47) - PAGE_SIZE  # asm/page_64_types.h
STACK_RND_MASK = {False: 0x3F_FFFF, True: 0x7FF}  # by "is it 32 bits?": asm/elf.h
ALIGN_STACK = 8192  # bytes by which arch_align_stack() lowers a stack: less than that
STACK_STEP = 16
MOST_BITS = 40  # more than CONFIG_ARCH_MMAP_RND_BITS_MAX
SIZE_128M = 128 << 20
SZ_32M, SZ_1G = 32 << 20, 1 << 30
MAPPED_32BIT = 0x40_0000  # ELF_ET_DYN_BASE of a 32-bit program
structs.expect("mmap_rnd_bits", "mmap_rnd_compat_bits", "randomize_va_space")
structs.expect("stack_guard_gap")


class Spread(NamedTuple):
    """Which addresses a random choice can give: start, start + step, ..."""

    start: int
    step: int  # bytes; negative where the choice is subtracted
    places: int  # how many there are
    slack: int = 0  # how many more are possible, but far less likely

    @property
    def bits(self) -> float:
        """The entropy of a choice among them, all being as likely."""
        return math.log2(self.places)

    def has(self, address: int) -> bool:
        """Is this one of them?"""
        number, rest = divmod(address - self.start, self.step)
        return not rest and 0 <= number < self.places + self.slack


@dataclass(frozen=True)
class Process:
    """What an exec's choices depend on."""

    mm: MmStruct
    flags: int  # of task_struct
    personality: int
    stack_limit: int  # RLIMIT_STACK, in bytes

    @property
    def is_randomised(self) -> bool:
        """PF_RANDOMIZE: load_elf_binary() sets it, begin_new_exec() clears it."""
        return bool(self.flags & PF_RANDOMIZE)

    @property
    def is_32bit(self) -> bool:
        """mmap_is_ia32(): then all of its addresses are below 4 GiB."""
        return self.mm.task_size <= 1 << 32

    @property
    def stack_top(self) -> int:
        """STACK_TOP, TASK_SIZE_LOW: where the stack ends if nothing is random."""
        return self.mm.task_size if self.is_32bit else DEFAULT_MAP_WINDOW


def process(task: Ptr[TaskStruct], mm: Ptr[MmStruct]) -> Process:
    """Read what an exec depends on. Raises memory.Fault."""
    guest = kernel.memory()
    read = TaskStruct(guest, task)
    limit = SignalStruct(guest, read.signal).stack_limit if read.signal else 0
    return Process(MmStruct(guest, mm), read.flags, read.personality, limit)


def randomize_va_space() -> int:
    """/proc/sys/kernel/randomize_va_space: 0 nothing, 1 all but the heap, 2 all."""
    return kernel.read_int("randomize_va_space")


def mmap_rnd_bits(is_32bit: bool) -> int:
    """How many bits of pages arch_mmap_rnd() draws; sysctl vm.mmap_rnd_bits sets it.

    :param is_32bit: for a 32-bit program; a kernel without CONFIG_COMPAT has one number
    :raises Broken: an address has fewer
    """
    compat = is_32bit and structs.has_symbol("mmap_rnd_compat_bits")
    name = "mmap_rnd_compat_bits" if compat else "mmap_rnd_bits"
    bits = kernel.read_int(name)
    if not 0 <= bits <= MOST_BITS:
        raise Broken(f"{name} is {bits}: no address has so many bits of pages")
    return bits


def page_align(address: int) -> int:
    """PAGE_ALIGN()."""
    return -(-address // PAGE_SIZE) * PAGE_SIZE


# --- Stack -------------------------------------------------------------------


def stack_end(of: Process) -> Spread:
    """Where the area [stack] ends: randomize_stack_top(), then setup_arg_pages().

    The latter has arch_align_stack() lower it by up to two pages more.
    """
    if not of.is_randomised:
        return Spread(of.stack_top, -PAGE_SIZE, 1)
    mask = STACK_RND_MASK[of.is_32bit]
    return Spread(of.stack_top, -PAGE_SIZE, mask + 1, ALIGN_STACK // PAGE_SIZE)


def stack_pointer(of: Process, end: int, aligned: int) -> Spread:
    """Where mm->start_stack can be: create_elf_tables() calls arch_align_stack() again.

    :param end: of the area [stack]
    :param aligned: bytes by which that call lowered it, see aligned_by()
    """
    fixed = of.mm.start_stack + (of.stack_top - end) + aligned
    if not of.is_randomised:
        return Spread(fixed, -STACK_STEP, 1)
    pages = STACK_RND_MASK[of.is_32bit] + 1
    slack = 2 * ALIGN_STACK // STACK_STEP
    return Spread(fixed, -STACK_STEP, pages * PAGE_SIZE // STACK_STEP, slack)


def aligned_by(of: Process, strings: int) -> int:
    """By how much create_elf_tables() has lowered the stack at random, in bytes.

    :param strings: the end of what it copied first, k_platform
    """
    return (of.mm.arg_start & -STACK_STEP) - strings


# --- Mappings ----------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """Where mmap() looks for room: arch_pick_mmap_layout(), arch/x86/mm/mmap.c."""

    topdown: bool  # below mmap_base, and not above as in the legacy layout
    base: Spread
    unrandomised: int

    def place(self, base: int, before: int, size: int) -> int:
        """Where mmap() puts something in a new address space.

        :param base: mmap_base
        :param before: bytes that were mapped already
        :param size: bytes to map
        """
        return base - before - size if self.topdown else base + before


def mmap_layout(of: Process) -> Layout | None:
    """The layout of an address space, None if it does not tell."""
    topdown = mm_.is_topdown(of.mm.address)
    if topdown is None:
        return None
    places = 1 << mmap_rnd_bits(of.is_32bit) if of.is_randomised else 1
    if not topdown:  # mmap_legacy_base()
        start = page_align(of.stack_top // 3)
        return Layout(False, Spread(start, PAGE_SIZE, places), start)
    mask = STACK_RND_MASK[of.is_32bit] if of.is_randomised else 0
    base = Spread(_topdown_base(of, mask), -PAGE_SIZE, places)
    return Layout(True, base, _topdown_base(of, 0))


def _topdown_base(of: Process, pages: int) -> int:
    """mmap_base() with nothing random but room to move the stack by so many pages."""
    gap = of.stack_limit
    guard = kernel.memory().u64(structs.address_of("stack_guard_gap"))
    pad = pages * PAGE_SIZE + guard
    if gap + pad < 1 << 64:  # else that would overflow, as with RLIM_INFINITY
        gap += pad
    gap = min(max(gap, SIZE_128M), of.stack_top // 6 * 5)
    return page_align(of.stack_top - gap)


def mmap_base_of(of: Process) -> int:
    """The mmap_base that counts for a process: mm_struct has one more for 32 bits."""
    compat = of.mm.mmap_compat_base
    return compat if of.is_32bit and compat is not None else of.mm.mmap_base


def elf_et_dyn_base(of: Process) -> int:
    """ELF_ET_DYN_BASE: from where on position-independent programs are put."""
    return MAPPED_32BIT if of.is_32bit else DEFAULT_MAP_WINDOW // 3 * 2


def program(of: Process, vaddr: int, alignment: int) -> Spread:
    """Where a position-independent program that has an interpreter is loaded.

    :param vaddr: p_vaddr of its first LOAD
    :param alignment: maximum_alignment() of its LOADs
    """
    bias = (elf_et_dyn_base(of) & -alignment) - vaddr & -PAGE_SIZE
    places, slack = 1, 0
    if of.is_randomised:
        places = max((PAGE_SIZE << mmap_rnd_bits(of.is_32bit)) // alignment, 1)
        slack = int(alignment > PAGE_SIZE)  # the sum may carry
    return Spread(bias + vaddr & -PAGE_SIZE, alignment, places, slack)


# --- Heap --------------------------------------------------------------------


@structs.cached
def brk_range() -> int | None:
    """How far arch_randomize_brk() can move the heap of a 64-bit program, in bytes.

    32 MiB, or 1 GiB where the function says so: the number is in its code, as the second
    argument of randomize_page(). None if it is not found there.
    """
    code = _constants("arch_randomize_brk")
    return next((size for size in (SZ_1G, SZ_32M) if size in code), None)


@structs.cached
def moves_brk_always() -> bool:
    """Does the heap of a program without interpreter start at ELF_ET_DYN_BASE in any case?

    Other kernels move it there only if it is to be random. The page it then starts at
    is a constant in the code of load_elf_binary().
    """
    return page_align(DEFAULT_MAP_WINDOW // 3 * 2) in _constants("load_elf_binary")


def _constants(function: str) -> set[int]:
    """The constants in the code of a function, none where nobody can disassemble it."""
    try:
        code = debugger().instructions(function)
    except Missing:
        return set()
    words = (re.findall(r"\$(0x[0-9a-f]+)", line.operands) for line in code)
    return {int(word, 16) for found in words for word in found}


def heap(of: Process, end: int, is_loader: bool) -> Spread | None:
    """Where the heap starts: mm->start_brk.

    randomize_va_space decided at the exec, and may have changed: so a heap that is not
    where it would be without is taken for a random one.

    :param end: of the program's last LOAD
    :param is_loader: is the program position-independent without an interpreter?
    """
    here, fixed = of.mm.start_brk, heap_unrandomised(of, end, is_loader)
    spread = _random_heap(of, end, is_loader) if of.is_randomised else None
    can_be = spread is not None and spread.has(here) and randomize_va_space() > 1
    if not of.is_randomised or here == fixed and not can_be:
        return Spread(fixed, PAGE_SIZE, 1)
    return spread


def _random_heap(of: Process, end: int, is_loader: bool) -> Spread | None:
    """Where arch_randomize_brk() can put the heap, None if that is not known."""
    span = SZ_32M if of.is_32bit else brk_range()
    if span is None:
        return None
    start = page_align(end)
    if is_loader:
        start = elf_et_dyn_base(of)
        if not moves_brk_always():  # randomize_page() starts at the next page
            span -= page_align(start) - start
    # Some kernels leave a page free in front of it
    return Spread(page_align(start), PAGE_SIZE, span // PAGE_SIZE, 1)


def heap_unrandomised(of: Process, end: int, is_loader: bool) -> int:
    """Where the heap starts if nothing is random; see heap()."""
    if is_loader and moves_brk_always():
        return page_align(elf_et_dyn_base(of))
    return page_align(end)


# --- vdso --------------------------------------------------------------------


def vdso_addr(of: Process, size: int) -> Spread:
    """Where the vdso goes, with the pages of data in front of it: arch/x86/entry/vdso/vma.c.

    Behind the stack, so that both have the same page table. This is random even for a
    process that is not, but without room above the stack it goes where mmap() puts it.

    :param size: in bytes, with the pages of data
    """
    start = page_align(of.mm.arg_start)  # start_stack at that time
    end = min(-(-(start + size) // PMD_SIZE) * PMD_SIZE, DEFAULT_MAP_WINDOW) - size
    return Spread(start, PAGE_SIZE, max(end - start, 0) // PAGE_SIZE + 1)
