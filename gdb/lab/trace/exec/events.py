# SPDX-License-Identifier: GPL-2.0-only
"""The events of lab trace exec."""

from __future__ import annotations

from dataclasses import dataclass

from ...linux.mm_changes import AreaData
from ...result import Address, Number, Size, Words
from ..event import Event


@dataclass(frozen=True, kw_only=True)
class ExecEvent(Event):
    """A step of an exec."""

    exec: Number = 0  # which exec of the timeline, from 1


@dataclass(frozen=True, kw_only=True)
class ExecCalled(ExecEvent, timeline="exec", step="call"):
    """A program asks for another one. What is not in memory is null."""

    call: Words
    path: Words | None
    argv: list[Words | None] | None
    envp: list[Words | None] | None
    vnr: Number  # pid of the caller in its own pid namespace


@dataclass(frozen=True, kw_only=True)
class KernelExec(ExecEvent, timeline="exec", step="call"):
    """The kernel executes a program by itself."""

    call: Words
    path: Words


@dataclass(frozen=True, kw_only=True)
class BprmAllocated(ExecEvent, timeline="exec", step="bprm"):
    """alloc_bprm() has made the new mm and its first stack."""

    bprm: Address  # struct linux_binprm *
    mm: Address
    path: Words
    p: Address  # bprm->p, the stack's top


@dataclass(frozen=True, kw_only=True)
class EnvironmentCopied(ExecEvent, timeline="exec", step="envp"):
    """The file name and the environment are on the new stack."""

    count: Number
    envp: list[Words]
    name: Words
    p: Address
    size: Size


@dataclass(frozen=True, kw_only=True)
class ArgumentsCopied(ExecEvent, timeline="exec", step="argv"):
    """The arguments are on the new stack."""

    count: Number
    argv: list[Words]
    p: Address
    size: Size


@dataclass(frozen=True, kw_only=True)
class FileOpened(ExecEvent, timeline="exec", step="open"):
    """The program or its interpreter is opened."""

    role: Words  # program or interpreter
    path: Words
    inode: Number
    mode: Number
    size: Size
    filesystem: Words


@dataclass(frozen=True, kw_only=True)
class FileNotOpened(ExecEvent, timeline="exec", step="open"):
    """The program or its interpreter cannot be opened."""

    role: Words
    path: Words
    error: Words


@dataclass(frozen=True, kw_only=True)
class ScriptTaken(ExecEvent, timeline="exec", step="handler"):
    """load_script() takes the file."""

    handler: Words
    takes: bool
    line: Words | None  # what stands behind #!


@dataclass(frozen=True, kw_only=True)
class ElfTaken(ExecEvent, timeline="exec", step="handler"):
    """load_elf_binary() takes the file."""

    handler: Words
    takes: bool
    type: Words  # ET_EXEC or ET_DYN
    entry: Address
    loads: Number  # PT_LOAD headers that are in memory
    interpreter: Words  # "" for none


@dataclass(frozen=True, kw_only=True)
class NotTaken(ExecEvent, timeline="exec", step="handler"):
    """A handler does not take the file."""

    handler: Words
    takes: bool
    why: Words


@dataclass(frozen=True, kw_only=True)
class InterpreterNext(ExecEvent, timeline="exec", step="script"):
    """The search for a handler begins again with a script's interpreter."""

    interpreter: Words
    argv: list[Words]
    count: Number
    p: Address


@dataclass(frozen=True, kw_only=True)
class OldProgramDropped(ExecEvent, timeline="exec", step="begin"):
    """begin_new_exec() has dropped the old program."""

    old_mm: Address
    mm: Address
    areas: Number  # of the old mm
    users_left: Number  # of the old mm
    killed: list[int]  # tids of other threads
    old_tid: Number
    old_comm: Words


@dataclass(frozen=True, kw_only=True)
class LayoutChosen(ExecEvent, timeline="exec", step="layout"):
    """arch_pick_mmap_layout() has chosen mmap_base."""

    mmap_base: Address
    down: bool | None  # does mmap() look for room below mmap_base?
    random: bool


@dataclass(frozen=True, kw_only=True)
class StackMoved(ExecEvent, timeline="exec", step="move"):
    """shift_arg_pages() has moved the stack to its random place."""

    shift: Size
    top: Address
    p: Address


@dataclass(frozen=True, kw_only=True)
class StackMade(ExecEvent, timeline="exec", step="stack"):
    """setup_arg_pages() has made the final stack."""

    stack_top: Address
    shift: Size
    start: Address
    end: Address
    perms: Words
    p: Address


@dataclass(frozen=True, kw_only=True)
class SegmentMapped(ExecEvent, timeline="exec", step="map"):
    """elf_map() has mapped a PT_LOAD."""

    path: Words
    interpreter: bool
    number: Number  # of the PT_LOAD in its file, from 1
    address: Address
    bias: Address  # how far above the address it was linked to
    offset: Number
    vaddr: Address
    filesz: Size
    memsz: Size
    flags: Number


@dataclass(frozen=True, kw_only=True)
class SegmentNotMapped(ExecEvent, timeline="exec", step="map"):
    """elf_map() has failed."""

    path: Words
    number: Number


@dataclass(frozen=True, kw_only=True)
class BssMapped(ExecEvent, timeline="exec", step="bss"):
    """Anonymous memory for the part of .bss behind the file's last page."""

    start: Address
    size: Size


@dataclass(frozen=True, kw_only=True)
class HeapPlaced(ExecEvent, timeline="exec", step="set_brk"):
    """set_brk() has put the heap behind the program."""


@dataclass(frozen=True, kw_only=True)
class VdsoMapped(ExecEvent, timeline="exec", step="vdso"):
    """vdso and vvar are mapped."""


@dataclass(frozen=True, kw_only=True)
class StackFilled(ExecEvent, timeline="exec", step="tables"):
    """create_elf_tables() has filled the stack."""

    argc: Number
    envc: Number
    auxv: list[list[int]]  # pairs of a type and a value
    sp: Address


@dataclass(frozen=True, kw_only=True)
class HeapChosen(ExecEvent, timeline="exec", step="brk"):
    """The heap has its final start."""

    start_brk: Address
    above: Number  # bytes behind the program's end


@dataclass(frozen=True, kw_only=True)
class UserModeNext(ExecEvent, timeline="exec", step="start"):
    """start_thread() has set the registers for user mode."""

    ip: Address
    sp: Address
    areas: list[AreaData]


@dataclass(frozen=True, kw_only=True)
class ExecReturned(ExecEvent, timeline="exec", step="return"):
    """The new program starts, or its thread has died (result is null)."""

    result: Number | None


@dataclass(frozen=True, kw_only=True)
class ExecFailed(ExecEvent, timeline="exec", step="return"):
    """The exec fails."""

    result: Number
    refused: Words | None  # the function that refused
    gone: bool  # the old program
    pending: list[Words]  # signals
