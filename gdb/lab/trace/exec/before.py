# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exec: from alloc_bprm() on, while the old program can still go on.

See fs/exec.c, fs/binfmt_script.c and fs/binfmt_elf.c.
"""

from __future__ import annotations

from typing import Any

from ...linux.errno import error_text, is_error, result_text, to_int
from ...linux.structs.exec import LinuxBinprm
from ...linux.structs.fs import Filename
from ...printable import quoted
from ...sizes import counted, size_text
from ...target import kernel, structs
from ...target.cstruct import Ptr
from ...target.elffile import MAGIC
from ..event import Moment, Point
from . import binprm
from .events import (
    ArgumentsCopied,
    BprmAllocated,
    ElfTaken,
    EnvironmentCopied,
    FileNotOpened,
    FileOpened,
    InterpreterNext,
    NotTaken,
    ScriptTaken,
)
from .state import Exec, Steps

# The formats of a kernel for 64-bit programs; binfmt_misc may not be there
HANDLERS = ("load_misc_binary", "load_script", "load_elf_binary")
NO_NAME = "no whole name of an interpreter is behind its #!"


class Before(Steps):
    """The steps that may refuse."""

    def points(self) -> list[Point]:
        point = self.execs.point
        return [
            point("alloc_bprm", "the new address space", leave=self._allocated),
            point(
                "copy_strings",
                "how arguments are copied",
                lambda exec_, moment: to_int(moment.argument(0)),
                self._copied,
            ),
            point(
                "copy_strings_kernel",
                "how arguments of the kernel's own exec are copied",
                lambda exec_, moment: to_int(moment.argument(0)),
                self._copied,
                optional=True,
            ),
            point(
                "do_open_execat",
                "which file is opened",
                lambda exec_, moment: moment.argument(1),
                self._opened,
            ),
            *(
                point(name, "which format a file has", self._tried, self._handled)
                for name in HANDLERS
                if structs.has_symbol(name)
            ),
        ]

    def _allocated(self, exec_: Exec, moment: Moment, note: Any) -> None:
        """Behind Follow.executes(): now it is known whether this is followed."""
        follow = self.execs.tracer.follow
        exec_.wanted = follow.everyone or follow.wants(moment.task)
        if not exec_.wanted:
            del self.execs.by_task[moment.task.address]
            return
        if is_error(moment.result):
            exec_.refused = moment.function
            return
        exec_.bprm = moment.pointer
        read = binprm.read(exec_.bprm)
        exec_.path = binprm.text(read.filename)
        changed = exec_.changed(moment)
        exec_.step = "alloc_bprm()"
        event = BprmAllocated(
            what=(
                f"a new mm_struct, {read.mm:x}, for the program to come: its one area is "
                "the stack, at the top of user space for now"
            ),
            changes=changed,
            lines=exec_.drawing(),
            bprm=exec_.bprm,
            mm=read.mm,
            path=exec_.path,
            p=read.p,
        )
        self.execs.tell(exec_, moment, event)

    def _copied(self, exec_: Exec, moment: Moment, count: int) -> None:
        """The first time the environment, the second time the arguments."""
        if exec_.failed(moment):
            return
        exec_.copies += 1
        read = binprm.read(exec_.bprm)
        changed = exec_.changed(moment)
        if exec_.copies == 1:
            exec_.env = read.p
            name = binprm.first(read.mm, read.exec, exec_.stack(read.p).end)
            strings = binprm.copied(read.mm, read.p, read.exec)
            copied = EnvironmentCopied(
                what=(
                    f'file name "{name}" and {counted(count, "environment string")}, '
                    f"{size_text(read.exec - read.p)}, copied to the top of the new stack"
                ),
                changes=changed,
                lines=exec_.drawing(),
                count=count,
                envp=strings,
                name=name,
                p=read.p,
                size=read.exec - read.p,
            )
            self.execs.tell(exec_, moment, copied)
            return
        exec_.step = "copying the strings"
        strings = binprm.copied(read.mm, read.p, exec_.env)
        event = ArgumentsCopied(
            what=(
                f"{counted(count, 'argument')}, {size_text(exec_.env - read.p)}, copied below: "
                f"{binprm.list_text(list(strings), count)}"
            ),
            changes=changed,
            lines=exec_.drawing(),
            count=count,
            argv=strings,
            p=read.p,
            size=exec_.env - read.p,
        )
        self.execs.tell(exec_, moment, event)

    def _opened(self, exec_: Exec, moment: Moment, filename: Ptr[Filename]) -> None:
        guest = kernel.memory()
        name = binprm.text(Filename(guest, filename).name)
        role = "interpreter" if exec_.handler else "program"
        if is_error(moment.result):
            exec_.refused = exec_.refused or moment.function
            failure = FileNotOpened(
                what=f"{role} {quoted(name, binprm.LONGEST)}: {error_text(moment.result)}",
                role=role,
                path=name,
                error=result_text(moment.result),
            )
            self.execs.tell(exec_, moment, failure)
            return
        found = binprm.opened(moment.pointer)
        if role == "interpreter":
            exec_.interpreter = found.path
        exec_.step = f"opening the {role}"
        event = FileOpened(
            what=(
                f"{role} {found.path} opened: inode {found.inode} of {found.filesystem}, "
                f"mode {found.mode & 0o7777:04o}, {size_text(found.size)}"
            ),
            role=role,
            path=found.path,
            inode=found.inode,
            mode=found.mode,
            size=found.size,
            filesystem=found.filesystem,
        )
        self.execs.tell(exec_, moment, event)

    def _tried(self, exec_: Exec, moment: Moment) -> Any:
        """A handler looks at the file. What it needs of it is in bprm->buf."""
        exec_.handler = ""
        read = binprm.read(exec_.bprm)
        why = _unlike(moment.function, read.buf)
        if moment.function == "load_script" and not why:
            exec_.handler = moment.function
            asked = binprm.script_line(read.buf)
            event = ScriptTaken(
                what=f"takes {binprm.text(read.interp)}: its first line asks for #!{asked}",
                handler=moment.function,
                takes=True,
                line=asked,
            )
            self.execs.tell(exec_, moment, event)
        if moment.function == "load_elf_binary" and not why:
            self._takes_elf(exec_, moment, read)
        return why, binprm.text(read.interp)

    def _takes_elf(self, exec_: Exec, moment: Moment, read: LinuxBinprm) -> None:
        exec_.handler = moment.function
        exec_.program, exec_.program_file = (
            binprm.program(read.file, read.buf),
            read.file,
        )
        program = exec_.program
        asks = f"interpreter {program.interpreter}" * bool(program.interpreter)
        event = ElfTaken(
            what=(
                f"takes {binprm.text(read.interp)}: ELF, {program.type}, entry {program.entry:x}, "
                f"{len(program.loads) or 'not known how many'} PT_LOAD, "
                f"{asks or 'no interpreter'}"
            ),
            handler=moment.function,
            takes=True,
            type=program.type,
            entry=program.entry,
            loads=len(program.loads),
            interpreter=program.interpreter,
        )
        self.execs.tell(exec_, moment, event)

    def _handled(self, exec_: Exec, moment: Moment, note: Any) -> None:
        """A handler has returned: it does not take the file, or it is done with it."""
        why, name = note
        result = moment.int_result
        if result == 0 and moment.function != "load_elf_binary":
            self._interpreted(exec_, moment)
        if result >= 0:
            return
        if exec_.handler == moment.function:  # it began and could not go on
            exec_.refused = exec_.refused or moment.function
            return
        event = NotTaken(
            what=f"does not take {name}: {why}",
            handler=moment.function,
            takes=False,
            why=why,
        )
        self.execs.tell(exec_, moment, event)

    def _interpreted(self, exec_: Exec, moment: Moment) -> None:
        """The arguments were changed for an interpreter, which is executed instead."""
        read = binprm.read(exec_.bprm)
        changed = exec_.changed(moment)
        strings = binprm.copied(read.mm, read.p, exec_.env)
        exec_.handler, exec_.runner = "", binprm.text(read.interp)
        exec_.round += 1
        event = InterpreterNext(
            what=(
                f"round {exec_.round} is with {exec_.runner}: argv is now "
                f"{binprm.list_text(list(strings), read.argc)}"
            ),
            changes=changed,
            lines=exec_.drawing(),
            interpreter=exec_.runner,
            argv=strings,
            count=read.argc,
            p=read.p,
        )
        self.execs.tell(exec_, moment, event)


def _unlike(handler: str, start: bytes) -> str:
    """Why a file is not of a handler's format, "" if it is.

    :param start: the file's first bytes, bprm->buf
    """
    wants = {"load_script": binprm.SCRIPT, "load_elf_binary": MAGIC}.get(handler)
    if wants and start.startswith(wants):
        if wants == MAGIC:
            return binprm.not_taken(start)
        return "" if binprm.script_line(start) is not None else NO_NAME
    if not any(start):
        return "it is empty, or begins with zeros"
    looked = _printable(wants) if wants else "what was registered with binfmt_misc"
    return f"it begins with {_printable(start[:4])}, not with {looked}"


def _printable(some: bytes) -> str:
    """Bytes as C writes them in a string."""
    return "".join(chr(c) if 32 <= c < 127 else f"\\x{c:02x}" for c in some)
