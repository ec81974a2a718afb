# SPDX-License-Identifier: GPL-2.0-only
"""The Debugger that asks gdb."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from functools import partial
from typing import Callable, Iterator, Mapping

import gdb

from . import settings, terminal, unforeseen
from .debugger import Argument, Caller, Instruction, Line, Missing, Refused, use
from .elffile import BadElf
from .hostfiles import Unfit
from .memory import Fault
from .ram_file import RamFile, find_ram_file
from .symtab import Symtab
from .types import CType, Field, Kind

MASK = 0xFFFF_FFFF_FFFF_FFFF
PROBE = "linux_banner"  # whose address tells whether gdb has moved the symbols
KINDS = {
    gdb.TYPE_CODE_INT: Kind.INT,
    gdb.TYPE_CODE_BOOL: Kind.BOOL,
    gdb.TYPE_CODE_CHAR: Kind.CHAR,
    gdb.TYPE_CODE_ENUM: Kind.ENUM,
    gdb.TYPE_CODE_PTR: Kind.POINTER,
    gdb.TYPE_CODE_STRUCT: Kind.STRUCT,
    gdb.TYPE_CODE_UNION: Kind.UNION,
    gdb.TYPE_CODE_ARRAY: Kind.ARRAY,
}
SIGNED = (Kind.INT, Kind.CHAR, Kind.ENUM)


def connect(socket: str) -> None:
    """Connect to the stub behind a unix socket, silently.

    gdb would say where the processor is: at the reset vector, to which it gives the name
    of whatever symbol precedes it. Raises gdb.error.
    """
    use(GdbDebugger())
    folder, name = os.path.split(os.path.abspath(socket))
    before = os.getcwd()
    gdb.execute("set suppress-cli-notifications on")
    try:
        # By its bare name: gdb takes a path with a colon for a host and a port
        os.chdir(folder)
        gdb.execute(f"target remote {name}", to_string=True)
    finally:
        os.chdir(before)
        gdb.execute("set suppress-cli-notifications off")


def version() -> str:
    """gdb's version."""
    return str(gdb.VERSION)  # type: ignore[attr-defined]


class GdbDebugger:
    """gdb's own memory, registers, symbols and types: see Debugger."""

    def __init__(self) -> None:
        # By vmlinux's name, time and inode: it may be built again, and loaded again
        self._symtabs: dict[tuple[str, int, int], Symtab | None] = {}

    @property
    def is_connected(self) -> bool:
        inferior = gdb.selected_inferior()
        return bool(inferior.is_valid() and inferior.threads())

    @property
    def vmlinux(self) -> str:
        symbol = gdb.lookup_global_symbol("linux_banner")
        if symbol is None:
            raise Missing("there are no kernel symbols")
        return str(symbol.symtab.objfile.filename)

    # --- The machine -----------------------------------------------------------

    def read_memory(self, address: int, size: int) -> bytes:
        try:
            return bytes(gdb.selected_inferior().read_memory(address, size))
        except gdb.MemoryError:
            raise Fault(address, "not mapped") from None

    def physical(self) -> RamFile | None:
        return find_ram_file(_monitor)

    def threads(self) -> list[int]:
        return sorted(thread.num for thread in gdb.selected_inferior().threads())

    def selected_thread(self) -> int:
        return int(gdb.selected_thread().num)

    def register(self, name: str) -> int:
        return _registers((name,))[name]

    def registers(self, thread: int, names: tuple[str, ...]) -> dict[str, int]:
        if thread == gdb.selected_thread().num:
            return _registers(names)
        with _selected(thread):
            return _registers(names)

    def caller(self, thread: int) -> Caller | None:
        with _selected(thread):
            try:
                frame: gdb.Frame | None = gdb.newest_frame()
                while frame is not None and frame.type() == gdb.INLINE_FRAME:
                    frame = frame.older()
                older = frame and frame.older()
                if older is None:
                    return None
                bp, sp = older.read_register("rbp"), older.read_register("rsp")
                return Caller(int(older.pc()), int(bp) & MASK, int(sp) & MASK)
            except gdb.error:
                return None

    def say(self, remark: str) -> None:
        terminal.write(f"seginfo: {remark}\n")

    # --- Symbols and types -------------------------------------------------------

    def lookup_type(self, name: str) -> CType:
        try:
            with settings.needed():
                return c_type(gdb.lookup_type(name))
        except gdb.error as problem:
            raise Missing(str(problem)) from None

    def address_of(self, symbol: str) -> int:
        table = self._symtab()
        if table is not None:
            places = {found.address for found in table.named(symbol)}
            if not places:
                raise Missing(f'No symbol "{symbol}" in {self.vmlinux}.')
            if len(places) == 1:
                return places.pop()
        return _evaluate(f"(unsigned long)&'{symbol}'")

    def _symtab(self) -> Symtab | None:
        """The symbol table of vmlinux, None if gdb has the symbols elsewhere than it."""
        try:
            name = self.vmlinux
            state = os.stat(name)
        except (Missing, OSError):
            return None
        key = name, state.st_mtime_ns, state.st_ino
        if key not in self._symtabs:
            self._symtabs = {key: _symtab(name)}
        table = self._symtabs[key]
        if table is not None:
            here = {found.address for found in table.named(PROBE)}
            if here != {_evaluate(f"(unsigned long)&'{PROBE}'")}:
                return None
        return table

    def variable_size(self, symbol: str) -> int:
        return _evaluate(f"sizeof('{symbol}')")

    def constant(self, name: str) -> int:
        return _evaluate(name)

    def evaluate(self, expression: str) -> int:
        """See Debugger: any expression that gdb takes."""
        try:
            with settings.needed():
                value = gdb.parse_and_eval(expression)
                kind = value.type.strip_typedefs().code
                if kind in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
                    hint = "." if value.address is None else f"; perhaps &{expression}?"
                    raise Refused(f"it is a {value.type}{hint}")
                if kind == gdb.TYPE_CODE_FLT:
                    raise Refused("it has a fraction.")
                return int(value.cast(gdb.lookup_type("unsigned long")))
        except (gdb.error, ValueError) as problem:
            raise Refused(str(problem)) from None

    def line_of(self, address: int) -> Line:
        found = gdb.find_pc_line(address)
        if found.symtab is None or not found.line:
            return Line("", 0, "")
        block = gdb.block_for_pc(address)
        while block is not None and block.function is None:
            block = block.superblock
        function = block.function.name if block is not None and block.function else ""
        return Line(found.symtab.filename, found.line, function)

    def symbol_at(self, address: int) -> str:
        with settings.needed():
            answer = gdb.execute(f"info symbol {address:#x}", to_string=True) or ""
        found = re.match(r"(\S+)(?: \+ (\d+))? in section ", answer)
        return f"{found[1]}+{int(found[2] or 0):#x}" if found else ""

    def arguments_of(self, function: str) -> list[Argument]:
        try:
            (place, *_) = gdb.decode_line(function)[1] or ()
        except (gdb.error, ValueError):
            return []
        block = gdb.block_for_pc(place.pc)
        while block is not None and (
            block.function is None or block.function.name != function
        ):
            block = block.superblock
        # typeshed's gdb.Block has no __iter__
        symbols: list[gdb.Symbol] = list(block or ())  # type: ignore[arg-type]
        found = [
            (symbol, symbol.type)
            for symbol in symbols
            if symbol.is_argument and symbol.type
        ]
        alone = gdb.lookup_static_symbol(function) or gdb.lookup_global_symbol(function)
        # gcc lists the arguments of an inlined function backwards
        return [
            Argument(symbol.name, str(kind), c_type(kind))
            for symbol, kind in (found if alone else found[::-1])
        ]

    def instructions(self, function: str) -> list[Instruction]:
        before = "on" if gdb.parameter("trust-readonly-sections") else "off"
        gdb.execute("set trust-readonly-sections on", to_string=True)
        try:
            with settings.needed():
                listing = gdb.execute(f"disassemble '{function}'", to_string=True) or ""
        except gdb.error as problem:
            raise Missing(str(problem)) from None
        finally:
            gdb.execute(f"set trust-readonly-sections {before}", to_string=True)
        lines = re.findall(r"(0x[0-9a-f]+) <[^>]*>:\t(\S+) *(.*)", listing)
        return [
            Instruction(int(place, 16), mnemonic, operands)
            for place, mnemonic, operands in lines
        ]


def _symtab(vmlinux: str) -> Symtab | None:
    """The symbol table of a file, None if it has none that can be read."""
    try:
        return Symtab(vmlinux)
    except (Unfit, BadElf):
        return None


def _monitor(command: str) -> str:
    """What QEMU's monitor answers, "" if there is no monitor."""
    try:
        return gdb.execute(f"monitor {command}", to_string=True) or ""
    except gdb.error:
        return ""


def _registers(names: tuple[str, ...]) -> dict[str, int]:
    frame = gdb.newest_frame()
    try:
        return {name: int(frame.read_register(name)) & MASK for name in names}
    except ValueError as problem:
        raise Missing(str(problem)) from None


@contextmanager
def _selected(number: int) -> Iterator[None]:
    """Select a processor in the block; then the thread and frame selected before."""
    before, frame = gdb.selected_thread(), gdb.selected_frame()
    try:
        for thread in gdb.selected_inferior().threads():
            if thread.num == number:
                thread.switch()
        yield
    finally:
        before.switch()
        if frame.is_valid():
            frame.select()


def _evaluate(expression: str) -> int:
    try:
        with settings.needed():
            return int(gdb.parse_and_eval(expression))
    except gdb.error as problem:
        raise Missing(str(problem)) from None


@settings.needed()
def c_type(given: gdb.Type) -> CType:
    """A gdb.Type as a CType."""
    kind_of = given.strip_typedefs()
    kind = KINDS.get(kind_of.code, Kind.OTHER)
    count = 0
    if kind is Kind.ARRAY:
        low, high = kind_of.range()
        count = high - low + 1
    element = fields = enumerators = None
    if kind in (Kind.ARRAY, Kind.POINTER):
        element = partial(_element, kind_of)
    elif kind in (Kind.STRUCT, Kind.UNION):
        fields = partial(_fields, kind_of)
    elif kind is Kind.ENUM:
        enumerators = partial(_enumerators, kind_of)
    return CType(
        kind=kind,
        name=str(given),
        size=kind_of.sizeof,
        signed=kind in SIGNED and bool(kind_of.is_signed),  # type: ignore[attr-defined]
        count=count,
        _element=element,
        _fields=fields,
        _enumerators=enumerators,
    )


@settings.needed()
def _element(kind: gdb.Type) -> CType:
    return c_type(kind.target())


@settings.needed()
def _enumerators(kind: gdb.Type) -> dict[str, int]:
    return {str(field.name): field.enumval for field in kind.fields()}


@settings.needed()
def _fields(kind: gdb.Type) -> tuple[Field, ...]:
    return tuple(
        Field(
            field.name or "",
            field.bitpos,
            field.bitsize,
            c_type(field.type),
            str(field.type),
        )
        for field in kind.fields()
        if hasattr(field, "bitpos")  # no static member
    )


Handler = Callable[[object], None]
_watching: dict[str, Handler] = {}


def watch(handlers: Mapping[str, Handler]) -> None:
    """Have functions called at gdb's events, instead of those given before.

    :param handlers: by the event's name in gdb.events
    """
    for name, handler in _watching.items():
        getattr(gdb.events, name).disconnect(handler)
    _watching.clear()
    for name, handler in handlers.items():
        _watching[name] = unforeseen.handler("seginfo")(handler)
        getattr(gdb.events, name).connect(_watching[name])
