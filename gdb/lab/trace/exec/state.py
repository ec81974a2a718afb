# SPDX-License-Identifier: GPL-2.0-only
"""The execs that are under way: what is known of each, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable

from ...linux import task
from ...linux.errno import is_error
from ...linux.mm_changes import Change, Piece, Snapshot, changes, snapshot
from ...linux.structs.exec import LinuxBinprm
from ...linux.structs.fs import File
from ...linux.structs.mm_types import MmStruct
from ...linux.vmflags import VM_RAND_READ, VM_SEQ_READ
from ...target.cstruct import NULL, Ptr
from ...target.elffile import Segment
from ...target.memory import Broken
from ..engine import Tracer
from ..event import Call, Moment, Point
from . import binprm
from .events import ExecEvent
from .stack_drawing import ZERO, Part, stack_lines

# VM_STACK_INCOMPLETE_SETUP (include/linux/mm.h): marks a stack that is being made
UNFINISHED = VM_SEQ_READ | VM_RAND_READ
ZEROES = 8  # bytes above the file name, where the stack begins


@dataclass
class Exec:
    """An exec under way."""

    number: int  # 0 until something was told of it
    tid: int  # of the thread that asked; another one after de_thread()
    asked: str  # the path that the program gave, "" if it is not known
    wanted: bool  # is the process followed?
    held: list[tuple[Moment, ExecEvent]] = field(default_factory=list)
    bprm: Ptr[LinuxBinprm] = NULL
    path: str = ""  # of the program that is executed
    before: Snapshot | None = None
    step: str = "the call"  # the last one that went well
    refused: str = ""  # the function that refused
    copies: int = 0
    env: int = 0  # where the strings of the environment begin on the stack
    shift: int = 0  # by how much the stack has moved down
    round: int = 1  # of looking for a handler; a script makes one more
    handler: str = ""  # the function whose format the file has
    program: binprm.Program | None = None
    interpreter: str = ""  # path of the ELF interpreter
    runner: str = ""  # path of the program that a script asks for
    loaded: dict[int, int] = field(default_factory=dict)  # PT_LOADs by struct file *
    program_file: int = 0  # struct file *
    end: int = 0  # of the program's last PT_LOAD
    gone: bool = False  # is the old program?
    areas: int = 0

    def mm(self, moment: Moment) -> Ptr[MmStruct]:
        """The new struct mm_struct *: it belongs to bprm until exec_mmap()."""
        return binprm.read(self.bprm).mm or moment.task.mm

    def drawing(self) -> tuple[str, ...]:
        """The stack before create_elf_tables()."""
        read = binprm.read(self.bprm)
        stack = self.stack(read.p)
        top = stack.end - ZEROES
        name = read.exec or top
        env = self.env - self.shift if self.env else name
        parts = [
            Part("", stack.start, read.p),
            Part("argv", read.p, env),
            Part("envp", env, name),
            Part("name", name, top),
            Part(ZERO, top, stack.end),
        ]
        marks = {stack.start: "vm_start", read.p: "bprm->p", stack.end: "vm_end"}
        return stack_lines(parts, marks)

    def stack(self, address: int) -> Piece:
        """The area of the new stack, as of the last snapshot. Raises Broken."""
        for piece in self.before.pieces if self.before else ():
            if piece.start <= address < piece.end:
                return piece
        raise Broken(f"bprm->p is {address:#x}, which is in no area of the new mm")

    def changed(self, moment: Moment) -> tuple[Change, ...]:
        """What became of the new address space since the last time."""
        now = self.snapshot(moment)
        before, self.before = self.before, now
        if before is None:
            nothing = dict.fromkeys(now.boundaries, 0)
            before = Snapshot(now.mm, (), nothing)
        return changes(before, now)

    def snapshot(self, moment: Moment) -> Snapshot:
        """The new address space, without the marks of an unfinished stack."""
        found = snapshot(self.mm(moment), task.onlooker_root())
        self.areas = len(found.pieces)
        pieces = (
            piece._replace(flags=piece.flags & ~UNFINISHED) for piece in found.pieces
        )
        return replace(found, pieces=tuple(pieces))

    def failed(self, moment: Moment) -> bool:
        """Did the function return an error? The first to do so is the one to blame."""
        if not is_error(moment.int_result):
            return False
        self.refused = self.refused or moment.function
        return True

    def segment(self, file: Ptr[File], header: Segment) -> tuple[int, int]:
        """Which PT_LOAD of its file this is, counted from 1, and of how many."""
        number = self.loaded[file] = self.loaded.get(file, 0) + 1
        known = self.program.loads if self.program else ()
        if file != self.program_file or not known:
            return number, 0
        for i, segment in enumerate(known, 1):
            if (segment.p_offset, segment.p_vaddr) == (header.p_offset, header.p_vaddr):
                return i, len(known)
        return number, len(known)


class Execs:
    """All execs under way, by struct task_struct *, and how they are told."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.by_task: dict[int, Exec] = {}
        self.started = 0

    def begin(self, moment: Moment, asked: str) -> Exec:
        """A task asks for an exec."""
        wanted = self.tracer.follow.wants(moment.task)
        exec_ = Exec(0, moment.task.pid, asked, wanted)
        self.by_task[moment.task.address] = exec_
        return exec_

    def tell(self, exec_: Exec, moment: Moment, event: ExecEvent) -> None:
        """Add an event, as soon as it is known that the process is followed."""
        exec_.held.append((moment, event))
        if not exec_.wanted:
            return
        if not exec_.number:
            self.started += 1
            exec_.number = self.started
        for when, step in exec_.held:
            self.tracer.emit(when, replace(step, exec=exec_.number))
        exec_.held.clear()

    def point(
        self,
        function: str | tuple[str, ...],
        tells: str,
        enter: Callable[[Exec, Moment], Any] | None = None,
        leave: Callable[[Exec, Moment, Any], None] | None = None,
        optional: bool = False,
    ) -> Point:
        """A stop that matters only in a task that is in an exec.

        enter() says what leave() gets; without it that is True.
        """

        def entered(moment: Moment) -> Any:
            exec_ = self.by_task.get(moment.task.address)
            if exec_ is None:
                return None
            return True if enter is None else enter(exec_, moment)

        def left(moment: Moment, call: Call) -> None:
            exec_ = self.by_task.get(moment.task.address)
            if exec_ is not None and leave is not None:
                leave(exec_, moment, call.note)

        functions = (function,) if isinstance(function, str) else function
        return Point(
            functions,
            tells,
            entered,
            left if leave else None,
            optional=optional,
            everyone=True,  # who is followed by name is known at alloc_bprm() only
        )


class Steps:
    """Some of the steps of every exec."""

    def __init__(self, execs: Execs) -> None:
        self.execs = execs

    def points(self) -> list[Point]:
        """Where they stop."""
        raise NotImplementedError
