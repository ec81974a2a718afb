# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exec: from the first elf_map() to start_thread().

See fs/binfmt_elf.c and arch/x86/entry/vdso/vma.c.
"""

from __future__ import annotations

from typing import Any

from ...linux.errno import error_text, is_error
from ...linux.mm_changes import Change
from ...linux.structs.exec import Elf64Phdr
from ...linux.structs.fs import File
from ...programs import elf
from ...sizes import counted, rough_size, size_text
from ...target import kernel, structs
from ...target.cstruct import Ptr
from ..event import Moment, Point
from . import binprm
from .stack_drawing import ZERO, Part, stack_lines
from .state import ZEROES, Exec, Steps

FILLED = ("arg_start", "arg_end", "env_start", "env_end", "start_stack")
RANDOM_BYTES = 16  # AT_RANDOM
PLATFORM = b"x86_64\0"  # ELF_PLATFORM, arch/x86/include/asm/elf.h
POINTER = 8  # bytes
SHOWN = (elf.AT_PHDR, elf.AT_ENTRY, elf.AT_BASE, elf.AT_RANDOM, elf.AT_EXECFN)
FAR = 1 << 32  # bytes; a random gap behind the program has 1 GiB at most


class Load(Steps):
    """The steps that fill the new address space."""

    def points(self) -> list[Point]:
        point = self.execs.point
        return [
            point("elf_map", "each PT_LOAD", self._before_map, self._mapped),
            point(
                "vm_brk_flags",
                "where .bss is",
                lambda one, moment: (moment.argument(0), moment.argument(1)),
                self._zeroed,
            ),
            *(
                point("set_brk", "the heap's first place", leave=self._heap)
                for _ in range(structs.has_symbol("set_brk"))
            ),
            point(
                ("map_vdso", "arch_setup_additional_pages"),
                "the vdso",
                leave=self._vdso,
            ),
            point("finalize_exec", "what the stack holds", self._finished),
            point("start_thread", "where user mode begins", self._started),
        ]

    def _before_map(self, one: Exec, moment: Moment) -> tuple[Ptr[File], Elf64Phdr]:
        return moment.argument(0), Elf64Phdr(kernel.memory(), moment.argument(2))

    def _mapped(
        self, one: Exec, moment: Moment, note: tuple[Ptr[File], Elf64Phdr]
    ) -> None:
        file, header = note
        number, count = one.segment(file, header)
        path = binprm.opened(file).path
        of = f"PT_LOAD {number}" + (f" of {count}" if count else "")
        if one.loaded[file] > number == 1:  # 3545deff0ec7: v6.10, and in 6.1.y
            of = f"{of}, now at a multiple of its alignment,"
        if is_error(moment.result):
            one.refused = one.refused or moment.function
            what = f"{of} of {path} cannot be mapped: {error_text(moment.result)}"
            self.execs.tell(one, moment, what, step="map", path=path, number=number)
            return
        start = elf.page_down(header.p_vaddr)
        bias = moment.pointer - start
        if file == one.program_file:
            parts = (one.program.loads if one.program else ()) or (header,)
            ends = (each.p_vaddr + each.p_memsz for each in parts)
            one.end = elf.page_up(bias + max(ends))
        said = "nothing of the file"
        if header.p_filesz:
            said = f"{size_text(header.p_filesz)} from {header.p_offset:#x}"
        if bias:
            said += f", {bias:x} above where it was linked to"
        zero = header.p_memsz - header.p_filesz
        if zero > 0:
            said += f"; {size_text(zero)} of zeroes follow, its .bss"
        one.step = f"mapping {path}"
        self.execs.tell(
            one,
            moment,
            f"{of} of {path}: {said}",
            one.changed(moment),
            step="map",
            path=path,
            interpreter=file != one.program_file,
            number=number,
            address=moment.pointer,
            bias=bias,
            offset=header.p_offset,
            vaddr=header.p_vaddr,
            filesz=header.p_filesz,
            memsz=header.p_memsz,
            flags=header.p_flags,
        )

    def _zeroed(self, one: Exec, moment: Moment, note: tuple[int, int]) -> None:
        start, size = note
        if one.failed(moment) or not size:
            return
        self.execs.tell(
            one,
            moment,
            f"{size_text(elf.page_up(size))} of anonymous memory at {start:x} for what of "
            ".bss is behind the last page of the file",
            one.changed(moment),
            step="bss",
            start=start,
            size=elf.page_up(size),
        )

    def _heap(self, one: Exec, moment: Moment, note: Any) -> None:
        """Where the heap is if it is not random; 6.1.y has no set_brk() any more."""
        changed = one.changed(moment)
        if one.failed(moment) or not changed:
            return
        what = "the heap begins behind the program for now"
        self.execs.tell(one, moment, what, changed, step="set_brk")

    def _vdso(self, one: Exec, moment: Moment, note: Any) -> None:
        if one.failed(moment):
            return
        one.step = "mapping the vdso"
        self.execs.tell(
            one,
            moment,
            "code and data of the kernel for user mode, vdso and vvar",
            one.changed(moment),
            step="vdso",
        )

    def _finished(self, one: Exec, moment: Moment) -> None:
        """create_elf_tables() is inlined: its work is seen here, where it is whole."""
        changed = one.changed(moment)
        filled = tuple(each for each in changed if each.boundary in FILLED)
        self._filled(one, moment, filled)
        rest = tuple(each for each in changed if each not in filled)
        assert one.before is not None
        marks = one.before.boundaries
        heap, above = marks["start_brk"], marks["start_brk"] - one.end
        if above < 0 or above >= FAR:
            said = "away from the program, which has no place of its own"
        elif above:
            said = f"{rough_size(above)} above the program, at random"
        else:
            said = "right behind the program"
        self.execs.tell(
            one,
            moment,
            f"the heap will start at {heap:x}, {said}",
            rest,
            step="brk",
            start_brk=heap,
            above=above,
        )

    def _filled(self, one: Exec, moment: Moment, changed: tuple[Change, ...]) -> None:
        assert one.before is not None
        read, marks = binprm.read(one.bprm), one.before.boundaries
        auxv = elf.saved_auxv(moment.task.mm)
        known = dict(auxv)
        stack = one.stack(read.p)
        pointers = 1 + (read.argc + 1) + (read.envc + 1) + 2 * len(auxv)
        tables = read.p + POINTER * pointers
        random = known.get(elf.AT_RANDOM, tables) + RANDOM_BYTES
        if elf.AT_PLATFORM in known:  # stands above the random bytes
            random = known[elf.AT_PLATFORM] + len(PLATFORM)
        parts = [
            Part("", stack.start, read.p),
            Part("argc..auxv", read.p, tables),
            Part("random", tables, random),
            Part("gap", random, marks["arg_start"]),  # of random size
            Part("argv", marks["arg_start"], marks["arg_end"]),
            Part("envp", marks["env_start"], marks["env_end"]),
            Part("name", marks["env_end"], stack.end - ZEROES),
            Part(ZERO, stack.end - ZEROES, stack.end),
        ]
        edges = {
            stack.start: "vm_start",
            read.p: "sp",
            marks["arg_start"]: "arg_start",
            stack.end: "vm_end",
        }
        shown = (f"{elf.AUXV[each][0]} {known.get(each, 0):x}" for each in SHOWN)
        self.execs.tell(
            one,
            moment,
            f"create_elf_tables() filled the stack: argc {read.argc}, argv[], envp[] "
            f"with {counted(read.envc, 'pointer')}, auxv with {len(auxv)} pairs",
            changed,
            (*stack_lines(parts, edges), f"auxv: {', '.join(shown)}"),
            step="tables",
            argc=read.argc,
            envc=read.envc,
            auxv=[list(pair) for pair in auxv],
            sp=read.p,
        )

    def _started(self, one: Exec, moment: Moment) -> None:
        ip, sp = moment.argument(1), moment.argument(2)
        auxv = dict(elf.saved_auxv(moment.task.mm))
        whose = f"the interpreter {one.interpreter}"
        if ip == auxv.get(elf.AT_ENTRY):
            whose = "the program"
        changed = one.changed(moment)
        assert one.before is not None
        one.step = "start_thread()"
        self.execs.tell(
            one,
            moment,
            f"user mode will begin in {whose}, at {ip:x}, with the stack pointer {sp:x}",
            changed,
            step="start",
            ip=ip,
            sp=sp,
            areas=[piece.data for piece in one.before.pieces],
        )
