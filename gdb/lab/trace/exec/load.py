# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exec: from the first elf_map() to start_thread().

See fs/binfmt_elf.c and arch/x86/entry/vdso/vma.c.
"""

from __future__ import annotations

from typing import Any

from ...linux.errno import error_text, is_error
from ...linux.mm_changes import Change
from ...linux.structs.fs import File
from ...programs import elf
from ...sizes import counted, rough_size, size_text
from ...target import elffile, kernel, structs
from ...target.cstruct import Ptr
from ...target.elffile import Segment
from ..event import Moment, Point
from . import binprm
from .events import (
    BssMapped,
    HeapChosen,
    HeapPlaced,
    SegmentMapped,
    SegmentNotMapped,
    StackFilled,
    UserModeNext,
    VdsoMapped,
)
from .stack_drawing import ZERO, Part, stack_lines
from .state import ZEROES, Exec, Steps

FILLED = ("arg_start", "arg_end", "env_start", "env_end", "start_stack")
RANDOM_BYTES = 16  # AT_RANDOM
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
                lambda exec_, moment: (moment.argument(0), moment.argument(1)),
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

    def _before_map(self, exec_: Exec, moment: Moment) -> tuple[Ptr[File], Segment]:
        raw = kernel.memory().read(moment.argument(2), elffile.PHDR.size)
        return moment.argument(0), elffile.segments(raw)[0]

    def _mapped(
        self, exec_: Exec, moment: Moment, note: tuple[Ptr[File], Segment]
    ) -> None:
        file, header = note
        number, count = exec_.segment(file, header)
        path = binprm.opened(file).path
        of = f"PT_LOAD {number}" + (f" of {count}" if count else "")
        if exec_.loaded[file] > number == 1:  # 3545deff0ec7: v6.10, and in 6.1.y
            of = f"{of}, now at a multiple of its alignment,"
        if is_error(moment.result):
            exec_.refused = exec_.refused or moment.function
            what = f"{of} of {path} cannot be mapped: {error_text(moment.result)}"
            self.execs.tell(
                exec_, moment, SegmentNotMapped(what=what, path=path, number=number)
            )
            return
        start = elf.page_down(header.p_vaddr)
        bias = moment.pointer - start
        if file == exec_.program_file:
            parts = (exec_.program.loads if exec_.program else ()) or (header,)
            ends = (each.p_vaddr + each.p_memsz for each in parts)
            exec_.end = elf.page_up(bias + max(ends))
        content = "nothing of the file"
        if header.p_filesz:
            content = f"{size_text(header.p_filesz)} from {header.p_offset:#x}"
        if bias:
            content += f", {bias:x} above where it was linked to"
        zero = header.p_memsz - header.p_filesz
        if zero > 0:
            content += f"; {size_text(zero)} of zeroes follow, its .bss"
        exec_.step = f"mapping {path}"
        event = SegmentMapped(
            what=f"{of} of {path}: {content}",
            changes=exec_.changed(moment),
            path=path,
            interpreter=file != exec_.program_file,
            number=number,
            address=moment.pointer,
            bias=bias,
            offset=header.p_offset,
            vaddr=header.p_vaddr,
            filesz=header.p_filesz,
            memsz=header.p_memsz,
            flags=header.p_flags,
        )
        self.execs.tell(exec_, moment, event)

    def _zeroed(self, exec_: Exec, moment: Moment, note: tuple[int, int]) -> None:
        start, size = note
        if exec_.failed(moment) or not size:
            return
        event = BssMapped(
            what=(
                f"{size_text(elf.page_up(size))} of anonymous memory at {start:x} for what of "
                ".bss is behind the last page of the file"
            ),
            changes=exec_.changed(moment),
            start=start,
            size=elf.page_up(size),
        )
        self.execs.tell(exec_, moment, event)

    def _heap(self, exec_: Exec, moment: Moment, note: Any) -> None:
        """Where the heap is if it is not random; 6.1.y has no set_brk() any more."""
        changed = exec_.changed(moment)
        if exec_.failed(moment) or not changed:
            return
        what = "the heap begins behind the program for now"
        self.execs.tell(exec_, moment, HeapPlaced(what=what, changes=changed))

    def _vdso(self, exec_: Exec, moment: Moment, note: Any) -> None:
        if exec_.failed(moment):
            return
        exec_.step = "mapping the vdso"
        event = VdsoMapped(
            what="code and data of the kernel for user mode, vdso and vvar",
            changes=exec_.changed(moment),
        )
        self.execs.tell(exec_, moment, event)

    def _finished(self, exec_: Exec, moment: Moment) -> None:
        """create_elf_tables() is inlined: its work is seen here, where it is whole."""
        changed = exec_.changed(moment)
        filled = tuple(each for each in changed if each.boundary in FILLED)
        self._filled(exec_, moment, filled)
        rest = tuple(each for each in changed if each not in filled)
        assert exec_.before is not None
        marks = exec_.before.boundaries
        heap, above = marks["start_brk"], marks["start_brk"] - exec_.end
        if above < 0 or above >= FAR:
            place = "away from the program, which has no place of its own"
        elif above:
            place = f"{rough_size(above)} above the program, at random"
        else:
            place = "right behind the program"
        event = HeapChosen(
            what=f"the heap will start at {heap:x}, {place}",
            changes=rest,
            start_brk=heap,
            above=above,
        )
        self.execs.tell(exec_, moment, event)

    def _filled(self, exec_: Exec, moment: Moment, changed: tuple[Change, ...]) -> None:
        assert exec_.before is not None
        read, marks = binprm.read(exec_.bprm), exec_.before.boundaries
        auxv = elf.saved_auxv(moment.task.mm)
        known = dict(auxv)
        stack = exec_.stack(read.p)
        pointers = 1 + (read.argc + 1) + (read.envc + 1) + 2 * len(auxv)
        tables = read.p + binprm.POINTER * pointers
        random = known.get(elf.AT_RANDOM, tables) + RANDOM_BYTES
        if elf.AT_PLATFORM in known:  # stands above the random bytes
            random = known[elf.AT_PLATFORM] + len(elf.PLATFORM)
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
        event = StackFilled(
            what=(
                f"create_elf_tables() filled the stack: argc {read.argc}, argv[], envp[] "
                f"with {counted(read.envc, 'pointer')}, auxv with {len(auxv)} pairs"
            ),
            changes=changed,
            lines=(*stack_lines(parts, edges), f"auxv: {', '.join(shown)}"),
            argc=read.argc,
            envc=read.envc,
            auxv=[list(pair) for pair in auxv],
            sp=read.p,
        )
        self.execs.tell(exec_, moment, event)

    def _started(self, exec_: Exec, moment: Moment) -> None:
        ip, sp = moment.argument(1), moment.argument(2)
        auxv = dict(elf.saved_auxv(moment.task.mm))
        whose = f"the interpreter {exec_.interpreter}"
        if ip == auxv.get(elf.AT_ENTRY):
            whose = "the program"
        changed = exec_.changed(moment)
        assert exec_.before is not None
        exec_.step = "start_thread()"
        event = UserModeNext(
            what=f"user mode will begin in {whose}, at {ip:x}, with the stack pointer {sp:x}",
            changes=changed,
            ip=ip,
            sp=sp,
            areas=[piece.data for piece in exec_.before.pieces],
        )
        self.execs.tell(exec_, moment, event)
