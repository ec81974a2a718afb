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
                lambda one, moment: to_int(moment.argument(0)),
                self._copied,
            ),
            point(
                "copy_strings_kernel",
                "how arguments of the kernel's own exec are copied",
                lambda one, moment: to_int(moment.argument(0)),
                self._copied,
                optional=True,
            ),
            point(
                "do_open_execat",
                "which file is opened",
                lambda one, moment: moment.argument(1),
                self._opened,
            ),
            *(
                point(name, "which format a file has", self._tried, self._handled)
                for name in HANDLERS
                if structs.has_symbol(name)
            ),
        ]

    def _allocated(self, one: Exec, moment: Moment, note: Any) -> None:
        """Behind Follow.executes(): now it is known whether this is followed."""
        follow = self.execs.tracer.follow
        one.wanted = follow.everyone or follow.wants(moment.task)
        if not one.wanted:
            del self.execs.by_task[moment.task.address]
            return
        if is_error(moment.result):
            one.refused = moment.function
            return
        one.bprm = moment.pointer
        read = binprm.read(one.bprm)
        one.path = binprm.text(read.filename)
        changed = one.changed(moment)
        one.step = "alloc_bprm()"
        self.execs.tell(
            one,
            moment,
            f"a new mm_struct, {read.mm:x}, for the program to come: its one area is "
            "the stack, at the top of user space for now",
            changed,
            one.drawing(),
            step="bprm",
            bprm=one.bprm,
            mm=read.mm,
            path=one.path,
            p=read.p,
        )

    def _copied(self, one: Exec, moment: Moment, count: int) -> None:
        """The first time the environment, the second time the arguments."""
        if one.failed(moment):
            return
        one.copies += 1
        read = binprm.read(one.bprm)
        changed = one.changed(moment)
        if one.copies == 1:
            one.env = read.p
            name = binprm.first(read.mm, read.exec, one.stack(read.p).end)
            strings = binprm.copied(read.mm, read.p, read.exec)
            self.execs.tell(
                one,
                moment,
                f'file name "{name}" and {counted(count, "environment string")}, '
                f"{size_text(read.exec - read.p)}, copied to the top of the new stack",
                changed,
                one.drawing(),
                step="envp",
                count=count,
                envp=strings,
                name=name,
                p=read.p,
                size=read.exec - read.p,
            )
            return
        one.step = "copying the strings"
        strings = binprm.copied(read.mm, read.p, one.env)
        self.execs.tell(
            one,
            moment,
            f"{counted(count, 'argument')}, {size_text(one.env - read.p)}, copied below: "
            f"{binprm.list_text(list(strings), count)}",
            changed,
            one.drawing(),
            step="argv",
            count=count,
            argv=strings,
            p=read.p,
            size=one.env - read.p,
        )

    def _opened(self, one: Exec, moment: Moment, filename: Ptr[Filename]) -> None:
        guest = kernel.memory()
        name = binprm.text(Filename(guest, filename).name)
        role = "interpreter" if one.handler else "program"
        if is_error(moment.result):
            one.refused = one.refused or moment.function
            self.execs.tell(
                one,
                moment,
                f"{role} {quoted(name, binprm.LONGEST)}: {error_text(moment.result)}",
                step="open",
                role=role,
                path=name,
                error=result_text(moment.result),
            )
            return
        found = binprm.opened(moment.pointer)
        if role == "interpreter":
            one.interpreter = found.path
        one.step = f"opening the {role}"
        self.execs.tell(
            one,
            moment,
            f"{role} {found.path} opened: inode {found.inode} of {found.filesystem}, "
            f"mode {found.mode & 0o7777:04o}, {size_text(found.size)}",
            step="open",
            role=role,
            path=found.path,
            inode=found.inode,
            mode=found.mode,
            size=found.size,
            filesystem=found.filesystem,
        )

    def _tried(self, one: Exec, moment: Moment) -> Any:
        """A handler looks at the file. What it needs of it is in bprm->buf."""
        one.handler = ""
        read = binprm.read(one.bprm)
        why = _unlike(moment.function, read.buf)
        if moment.function == "load_script" and not why:
            one.handler = moment.function
            asked = binprm.script_line(read.buf)
            self.execs.tell(
                one,
                moment,
                f"takes {binprm.text(read.interp)}: its first line asks for #!{asked}",
                step="handler",
                handler=moment.function,
                takes=True,
                line=asked,
            )
        if moment.function == "load_elf_binary" and not why:
            self._takes_elf(one, moment, read)
        return why, binprm.text(read.interp)

    def _takes_elf(self, one: Exec, moment: Moment, read: LinuxBinprm) -> None:
        one.handler = moment.function
        one.program, one.program_file = binprm.program(read.file, read.buf), read.file
        said = one.program
        asks = f"interpreter {said.interpreter}" * bool(said.interpreter)
        self.execs.tell(
            one,
            moment,
            f"takes {binprm.text(read.interp)}: ELF, {said.type}, entry {said.entry:x}, "
            f"{len(said.loads) or 'not known how many'} PT_LOAD, "
            f"{asks or 'no interpreter'}",
            step="handler",
            handler=moment.function,
            takes=True,
            type=said.type,
            entry=said.entry,
            loads=len(said.loads),
            interpreter=said.interpreter,
        )

    def _handled(self, one: Exec, moment: Moment, note: Any) -> None:
        """A handler has returned: it does not take the file, or it is done with it."""
        why, name = note
        result = moment.int_result
        if result == 0 and moment.function != "load_elf_binary":
            self._interpreted(one, moment)
        if result >= 0:
            return
        if one.handler == moment.function:  # it began and could not go on
            one.refused = one.refused or moment.function
            return
        self.execs.tell(
            one,
            moment,
            f"does not take {name}: {why}",
            step="handler",
            handler=moment.function,
            takes=False,
            why=why,
        )

    def _interpreted(self, one: Exec, moment: Moment) -> None:
        """The arguments were changed for an interpreter, which is executed instead."""
        read = binprm.read(one.bprm)
        changed = one.changed(moment)
        strings = binprm.copied(read.mm, read.p, one.env)
        one.handler, one.runner = "", binprm.text(read.interp)
        one.round += 1
        self.execs.tell(
            one,
            moment,
            f"round {one.round} is with {one.runner}: argv is now "
            f"{binprm.list_text(list(strings), read.argc)}",
            changed,
            one.drawing(),
            step="script",
            interpreter=one.runner,
            argv=strings,
            count=read.argc,
            p=read.p,
        )


def _unlike(handler: str, start: bytes) -> str:
    """Why a file is not of a handler's format, "" if it is. Parameter: bprm->buf."""
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
