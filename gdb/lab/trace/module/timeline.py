# SPDX-License-Identifier: GPL-2.0-only
"""lab trace module: how modules come and go, from insmod to rmmod.

kernel/module.c, kernel/module/main.c since v5.19 (cfc1d277891e).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...linux import (
    kallsyms,
    load_info,
    mm,
    module,
    moduleparam,
    notifier,
    printk,
    registers,
    relatives,
)
from ...linux.errno import is_error, result_text
from ...linux.registers import WRAPPER
from ...linux.structs.lib import LoadInfo, Module
from ...linux.task import register
from ...printable import text_of
from ...result import Number, Size, Table, Words
from ...sizes import counted, size_text
from ...target import kernel, structs
from ...target.cstruct import NULL, Ptr
from ...target.debugger import Refused
from ...target.elffile import SHF_ALLOC, BadElf
from ...target.memory import Broken, Fault
from ..engine import Timeline, Tracer
from ..event import Call, Moment, Point
from .events import (
    ExitCalled,
    InitCalled,
    InitReturned,
    LoadCalled,
    Loaded,
    LoadFails,
    MemoryGivenBack,
    MemoryPiece,
    Notified,
    ParametersSet,
    PlacedSection,
    Relocated,
    RelocatedSection,
    SectionsPlaced,
    SymbolsFound,
    UnloadCalled,
    Unloaded,
)

MODULE_NAME_LEN = 64 - 8  # include/linux/moduleparam.h
NOTIFY_STOP_MASK = 0x8000  # include/linux/notifier.h
CALL_CHAIN = "blocking_notifier_call_chain"
CALL_CHAIN_ROBUST = "blocking_notifier_call_chain_robust"  # v5.10 (70d932985757)
MOST_IN_LINE = 8  # in one line


class ModuleRow(NamedTuple):
    """What became of a module."""

    module: Words
    loads: Number
    failed: Number
    unloads: Number
    relocations: Number
    memory: Size  # that it got
    given_back: Size


@dataclass
class Load:
    """A load_module() under way."""

    info: Ptr[LoadInfo]
    name: str
    last_message: int  # the log's sequence number
    where: str = "setup_load_info"  # the function that fails, if nothing follows
    module: Ptr[Module] = NULL  # where it will stay, 0 before it is known
    sections: list[load_info.FileSection] = field(default_factory=list)
    relocated: list[load_info.Relocations] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class ModulePoint(Point):
    """A stop in a module, at a function that is no symbol of the kernel's."""

    def function(self) -> str:
        return self.functions[0]


class Modules(Timeline):
    """How modules are loaded and unloaded."""

    name = "module"
    follows = "modules: sections, symbols, relocations, parameters, init, exit"

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self._loads: dict[int, Load] = {}  # by struct task_struct *
        self._unloads: dict[int, str] = {}  # names of modules, likewise
        self._memory: dict[int, tuple[str, MemoryPiece]] = {}  # by address: whose
        self._counts: dict[str, Counter[str]] = {}

    def points(self) -> list[Point]:
        return [
            Point(
                ("load_module",),
                "which module is loaded",
                self._load,
                self._loaded,
                lambda moment, call: self._forget(moment),
            ),
            Point(
                ("apply_relocate_add",),
                "which relocations are applied",
                self._relocate,
                self._relocated,
            ),
            Point(
                ("module_finalize",),
                "when all relocations are applied",
                self._finalize,
                optional=True,
            ),
            Point(
                ("module_unload_free",),
                "which symbols are missing",
                self._undo,
                optional=True,
            ),
            *(
                Point(
                    (name,), "who is told", self._notify, self._notified, optional=True
                )
                for name in (CALL_CHAIN, CALL_CHAIN_ROBUST)
            ),
            Point(
                ("parse_args",),
                "which parameters are set",
                self._parse,
                self._parsed,
            ),
            Point(
                ("unknown_module_param_cb",),
                "which parameters the module does not have",
                self._unknown,
                optional=True,
            ),
            Point(
                ("do_one_initcall",),
                "when the module's own code begins",
                self._init,
                self._init_returned,
            ),
            Point(
                (WRAPPER + "delete_module",),
                "which module is unloaded",
                self._unload,
                self._unloaded,
                lambda moment, call: self._forget(moment),
            ),
            Point(
                ("free_module",),
                "whose memory is given back",
                self._frees,
                optional=True,
            ),
            Point(
                # The second since v6.10 (12af2b83d0b1)
                ("module_memfree", "execmem_free"),
                "when memory is given back",
                self._gives_back,
                everyone=True,  # do_free_init() runs in a kworker
            ),
        ]

    def _count(self, name: str, what: str, by: int = 1) -> None:
        self._counts.setdefault(name, Counter())[what] += by

    def _forget(self, moment: Moment) -> None:
        self._loads.pop(moment.task.address, None)
        self._unloads.pop(moment.task.address, None)

    # --- Loading ----------------------------------------------------------------

    def _load(self, moment: Moment) -> Load:
        """load_module(struct load_info *, ...): the file is in memory, and unread."""
        place = Ptr[LoadInfo](moment.argument(0))
        info = load_info.load_info(place)
        call, _ = relatives.system_call(moment.task.address)
        count, own, odd = 0, dict[str, str](), ""
        try:
            file = load_info.file_of(info)
            count, own = len(file.sections), load_info.modinfo(file)
            odd = file.no_sections
        except BadElf as problem:
            odd = str(problem)
        load = Load(place, own.get("name", ""), max(map(_seq, _log()), default=-1))
        if odd:
            load.where = "elf_validity_check"
        elif own.get("vermagic") != vermagic():
            load.where = "check_modinfo"
        self._loads[moment.task.address] = load
        what = f"loads {load.name or 'a module'}: {size_text(info.len)} of ELF"
        lines = [
            f"{tag:<10} {own[tag]}" for tag in ("vermagic", "depends") if tag in own
        ]
        event = LoadCalled(
            what=f"{what}, {counted(count, 'section')}" + f"; {odd}" * bool(odd),
            lines=tuple(lines),
            module=load.name,
            call=call,
            size=info.len,
            sections=count,
            modinfo=own,
        )
        self.tracer.emit(moment, event)
        return load

    def _place(self, moment: Moment, load: Load, looked_up: bool = True) -> None:
        """Tell where the module is, if that is not told yet: see move_module().

        :param looked_up: are its symbols, too?
        """
        if load.module:
            return
        info = load_info.load_info(load.info)
        known = load.sections = load_info.sections(info)
        if info.mod >= len(known):
            raise Broken(f"a module's own section {info.mod} is not in its file")
        load.module = Ptr[Module](known[info.mod].address)
        own = Module(kernel.memory(), load.module)
        load.name = module.name_of(own)
        memory = self._note_memory(own)
        sections = []
        for section in known:
            if section.flags & SHF_ALLOC:
                there = _piece_of(memory, section.address)
                sections.append(
                    PlacedSection(
                        name=section.name,
                        offset=section.offset,
                        start=section.address,
                        size=section.size,
                        memory=there,
                    )
                )
        total = sum(piece.size for piece in memory)
        per_cpu = own.percpu_size or 0
        count = counted(len(sections), "section")
        what = f"{load.name} gets {size_text(total)} for {count}"
        pieces = [
            f"{piece.name:<11} {piece.start:#x}, {size_text(piece.size)}: "
            + _names([each.name for each in sections if each.memory == piece.name])
            for piece in memory
        ]
        event = SectionsPlaced(
            what=what + f" and {size_text(per_cpu)} on each CPU" * bool(per_cpu),
            lines=tuple(pieces),
            module=load.name,
            address=load.module,
            memory=memory,
            sections=sections,
            per_cpu=per_cpu,
        )
        self.tracer.emit(moment, event)
        if looked_up:
            self._tell_symbols(moment, load, info, known)

    def _note_memory(self, own: Module) -> list[MemoryPiece]:
        """Remember whose memory it is: when it is given back, nobody else knows."""
        memory = [
            MemoryPiece(piece.what, piece.start, piece.size)
            for piece in module.pieces_of(own)
        ]
        name = module.name_of(own)
        for piece in memory:
            if piece.start not in self._memory:
                self._count(name, "memory", piece.size)
            self._memory[piece.start] = name, piece
        return memory

    def _tell_symbols(
        self,
        moment: Moment,
        load: Load,
        info: LoadInfo,
        known: list[load_info.FileSection],
    ) -> None:
        """Tell what simplify_symbols() has found."""
        found, missing = dict[str, int](), list[str]()
        for symbol in load_info.undefined(info, known):
            if symbol.value:
                found[symbol.name] = symbol.value
            elif not symbol.is_weak:
                missing.append(symbol.name)
        uses = sorted(
            {
                piece.module
                for piece in module.for_each_module()
                for value in found.values()
                if piece.holds(value)
            }
        )
        count = counted(len(found) + len(missing), "symbol")
        what = f"{load.name} needs {count} from elsewhere"
        what += f", {_names(uses)} among it" * bool(uses)
        if missing:
            load.where = "simplify_symbols"
            what += f"; not found: {_names(missing)}"
        event = SymbolsFound(
            what=what,
            lines=(_names(sorted(found)),) * bool(found),
            module=load.name,
            found=found,
            missing=missing,
            uses=uses,
        )
        self.tracer.emit(moment, event)

    def _relocate(self, moment: Moment) -> int | None:
        """apply_relocate_add(sechdrs, strtab, symindex, relsec, me)."""
        load = self._loads.get(moment.task.address)
        if load is None:
            return None
        load.where = "apply_relocate_add"
        self._place(moment, load)
        return moment.argument(3) & 0xFFFF_FFFF

    def _relocated(self, moment: Moment, call: Call) -> None:
        load = self._loads[moment.task.address]
        info = load_info.load_info(load.info)
        load.relocated.append(load_info.relocations(info, load.sections, call.note))
        if moment.int_result < 0:
            self._tell_relocations(moment, load, moment.int_result)

    def _tell_relocations(self, moment: Moment, load: Load, result: int) -> None:
        kinds = Counter[str]()
        for each in load.relocated:
            kinds.update(each.by_kind)
        total = sum(kinds.values())
        self._count(load.name, "relocations", total)
        wrong = sum(each.wrong for each in load.relocated)
        event = Relocated(
            what=f"{load.name} has {counted(total, 'relocation')} in "
            f"{counted(len(load.relocated), 'section')}: "
            + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            + f"; {wrong} places have another value" * bool(wrong)
            + f"; {result_text(result)}" * (result < 0),
            lines=(_names([f"{x.section} {x.total}" for x in load.relocated], 99),),
            module=load.name,
            sections=[
                RelocatedSection(each.section, each.total, each.wrong)
                for each in load.relocated
            ],
            by_kind=dict(kinds),
            result=result,
        )
        self.tracer.emit(moment, event)
        load.relocated.clear()

    def _finalize(self, moment: Moment) -> None:
        """module_finalize(hdr, sechdrs, me): nothing is left to relocate."""
        load = self._loads.get(moment.task.address)
        if load is not None:
            load.where = "module_finalize"
            self._place(moment, load)
            self._tell_relocations(moment, load, 0)
            load.where = "complete_formation"

    def _undo(self, moment: Moment) -> None:
        """module_unload_free(): a load that fails, before anything was relocated."""
        load = self._loads.get(moment.task.address)
        if load is not None and not load.module:
            load.where = "find_module_sections"
            self._place(moment, load)

    # --- Notifiers, parameters, init ---------------------------------------------

    def _notify(self, moment: Moment) -> tuple[Ptr[Module], int] | None:
        """blocking_notifier_call_chain(&module_notify_list, state, module).

        The other one also has the state to go back to if somebody refuses.
        """
        if moment.argument(0) != structs.address_of("module_notify_list"):
            return None
        robust = moment.function == CALL_CHAIN_ROBUST
        own = Ptr[Module](moment.argument(3 if robust else 2))
        load = self._loads.get(moment.task.address)
        state = moment.argument(1)
        if load is not None and _state_name(state) == "COMING":
            load.where = "prepare_coming_module"
        return own, state

    def _notified(self, moment: Moment, call: Call) -> None:
        own, state = call.note
        chain = structs.address_of("module_notify_list")
        names = list(notifier.functions_of(chain))
        word = _state_name(state)
        result = moment.int_result
        stops = "; one of them stops it" * bool(result & NOTIFY_STOP_MASK)
        name = module.name_of(Module(kernel.memory(), own))
        event = Notified(
            what=f"tells {counted(len(names), 'notifier')} that {name} is {word}{stops}",
            lines=(_names(names),) * bool(names),
            module=name,
            state=word,
            notifiers=names,
            result=result,
        )
        self.tracer.emit(moment, event)

    def _parse(self, moment: Moment) -> str | None:
        """parse_args(doing, args, params, num, ...): who asks, and for what."""
        load = self._loads.get(moment.task.address)
        if load is None or not load.module:
            return None
        if moment.argument(2) != Module(kernel.memory(), load.module).kp:
            return None
        load.where = "parse_args"
        return text_of(kernel.memory().read_string(moment.argument(1)))

    def _unknown(self, moment: Moment) -> None:
        """unknown_module_param_cb(param, val, ...)."""
        load = self._loads.get(moment.task.address)
        if load is not None:
            name = kernel.memory().read_string(moment.argument(0))
            load.unknown.append(text_of(name))

    def _parsed(self, moment: Moment, call: Call) -> None:
        load, arguments = self._loads[moment.task.address], call.note
        own = Module(kernel.memory(), load.module)
        values = {each.name: each.value for each in moduleparam.parameters(own)}
        result = moment.result if is_error(moment.result) else 0
        what = f'{load.name} gets the parameters "{arguments.strip()}"'
        if not arguments.strip():
            what = f"{load.name} gets no parameters"
        if result:
            what += f": {result_text(result)}"
        elif load.unknown:
            what += f": it has no {_names(load.unknown)}, which is passed over"
        event = ParametersSet(
            what=what,
            lines=tuple(f"{name} = {value}" for name, value in values.items()),
            module=load.name,
            arguments=arguments,
            parameters=values,
            unknown=list(load.unknown),
            result=result,
        )
        self.tracer.emit(moment, event)
        load.where = "parse_args" if result else "mod_sysfs_setup"

    def _init(self, moment: Moment) -> Load | None:
        """do_one_initcall(fn)."""
        load, init = self._loads.get(moment.task.address), moment.argument(0)
        if load is None or not load.module:
            return None
        if init != Module(kernel.memory(), load.module).init:
            return None
        load.where = "do_one_initcall"
        symbol = _function_at(init)
        event = InitCalled(
            what=f"{load.name} begins: {symbol}()",
            module=load.name,
            init=init,
            symbol=symbol,
        )
        self.tracer.emit(moment, event)
        return load

    def _init_returned(self, moment: Moment, call: Call) -> None:
        result = moment.int_result
        name = call.note.name
        what = f"{name} is initialised: {result_text(result)}"
        if result < 0:
            what = f"{name} does not want to be loaded: {result_text(result)}"
        event = InitReturned(what=what, module=name, result=result)
        self.tracer.emit(moment, event)

    def _loaded(self, moment: Moment, call: Call) -> None:
        load: Load = call.note
        self._forget(moment)
        result = moment.int_result
        self._count(load.name, "failed" if result < 0 else "loads")
        if result < 0:
            self._tell_failure(moment, load, result)
            return
        own = Module(kernel.memory(), load.module)
        state, references = module.state_of(own), module.module_refcount(own)
        size = sum(piece.size for piece in module.pieces_of(own))
        event = Loaded(
            what=f"{load.name} is {state}: {size_text(size)}, {_references(references)}",
            module=load.name,
            state=state,
            references=references,
            size=size,
        )
        self.tracer.emit(moment, event)

    def _tell_failure(self, moment: Moment, load: Load, result: int) -> None:
        messages = _messages(moment, load.last_message)
        event = LoadFails(
            what=f"{load.name or 'it'} is not loaded: {result_text(result)}, from {load.where}()",
            lines=tuple(messages),
            module=load.name,
            result=result,
            where=load.where,
            messages=messages,
        )
        self.tracer.emit(moment, event)

    # --- Unloading ----------------------------------------------------------------

    def _unload(self, moment: Moment) -> tuple[str, int] | None:
        """delete_module(name, flags): the name is the program's."""
        regs = registers.pt_regs(moment.argument(0))
        asked = registers.syscall_get_arguments(regs)[0]
        name = _user_string(moment, asked)
        own = next(
            (one for one in module.modules() if module.name_of(one) == name), None
        )
        if own is None:
            event = UnloadCalled(
                what=f"unloads {name or 'a module'}: there is none of that name",
                module=name,
                state="",
                references=None,
                users=[],
            )
            self.tracer.emit(moment, event)
            return name, 0
        self._note_memory(own)
        self._unloads[moment.task.address] = name
        users = [module.name_of(user) for user in module.users_of(own)]
        references = module.module_refcount(own)
        state = module.state_of(own)
        told = f"unloads {name}: {state}, {_references(references)}"
        event = UnloadCalled(
            what=told + f", {_names(users)}" * bool(users),
            module=name,
            state=state,
            references=references,
            users=users,
        )
        self.tracer.emit(moment, event)
        place = own.exit or 0
        if place:
            symbol = _function_at(place)
            self.tracer.stop_at(
                place, ModulePoint((symbol,), "when it ends", self._exit)
            )
        return name, place

    def _exit(self, moment: Moment) -> None:
        """The first instruction of the module's exit function."""
        name = self._unloads.get(moment.task.address)
        if name is None:
            return
        place = register("rip")
        event = ExitCalled(
            what=f"{name} ends: {moment.function}()",
            module=name,
            exit=place,
            symbol=moment.function,
        )
        self.tracer.emit(moment, event)

    def _unloaded(self, moment: Moment, call: Call) -> None:
        name, place = call.note
        self._forget(moment)
        if place:
            self.tracer.stop_no_more(place)
        result = moment.int_result
        self._count(name, "unloads", int(result == 0))
        what = f"{name or 'it'} is unloaded"
        if result:
            what = f"{name or 'it'} is not unloaded: {result_text(result)}"
        self.tracer.emit(moment, Unloaded(what=what, module=name, result=result))

    def _frees(self, moment: Moment) -> None:
        """free_module(): of a module that was there before the timeline, too."""
        own = Ptr[Module](moment.argument(0))
        self._note_memory(Module(kernel.memory(), own))

    def _gives_back(self, moment: Moment) -> None:
        """module_memfree(address), in the task or later in a kworker."""
        load = self._loads.get(moment.task.address)
        if load is not None and not load.module:  # nothing else was called until now
            load.where = "add_unformed_module"
            self._place(moment, load, looked_up=False)
        name, piece = self._memory.pop(moment.argument(0), ("", None))
        if piece is None:
            return
        self._count(name, "given back", piece.size)
        event = MemoryGivenBack(
            what=f"{name} gives back {piece.name}: {size_text(piece.size)} "
            f"at {piece.start:#x}",
            module=name,
            memory=piece,
        )
        self.tracer.emit(moment, event)

    def summary(self) -> list[Any]:
        rows = [
            ModuleRow(
                module=name,
                loads=counts["loads"],
                failed=counts["failed"],
                unloads=counts["unloads"],
                relocations=counts["relocations"],
                memory=counts["memory"],
                given_back=counts["given back"],
            )
            for name, counts in self._counts.items()
        ]
        return [Table(ModuleRow, "Modules", rows)] if rows else []


def vermagic() -> str:
    """Which kernel a module must be for. Raises memory.Fault."""
    place = structs.address_of("vermagic")
    return text_of(kernel.memory().read_string(place))


def _piece_of(memory: list[MemoryPiece], address: int) -> str:
    """The piece of memory that an address is in, "" if in none."""
    inside = (one for one in memory if one.start <= address < one.start + one.size)
    return next((piece.name for piece in inside), "")


def _names(names: list[str], most: int = MOST_IN_LINE) -> str:
    more = f" and {len(names) - most} more" * (len(names) > most)
    return ", ".join(names[:most]) + more


def _references(count: int | None) -> str:
    return "never to be unloaded" if count is None else counted(count, "reference")


def _state_name(number: int) -> str:
    """COMING, LIVE, GOING: enum module_state."""
    names = structs.enumerators("enum module_state").items()
    found = next((name for name, value in names if value == number), str(number))
    return found.removeprefix("MODULE_STATE_")


def _function_at(address: int) -> str:
    """The name of a module's function, without the module's."""
    return (kallsyms.symbol_name(address) or f"{address:#x}").split(" ")[0]


def _user_string(moment: Moment, address: int) -> str:
    """A module's name in the program's memory, "" if it is not there yet."""
    raw = b""
    try:
        while b"\0" not in raw and len(raw) < MODULE_NAME_LEN:
            raw += mm.access_process_vm(moment.task.mm, address + len(raw), 1)
    except Fault:
        return ""
    return text_of(raw.split(b"\0")[0])


def _log() -> list[printk.Message]:
    """The kernel's log, as much as can be read."""
    found = []
    try:
        for message in printk.messages():
            found.append(message)
    except (Refused, Broken):
        pass
    return found


def _seq(message: printk.Message) -> int:
    return message.seq


def _messages(moment: Moment, last: int) -> list[str]:
    """What the current task has printed after a message of the log."""
    own = f"T{moment.task.pid}"
    return [
        message.text
        for message in _log()
        if message.seq > last and message.caller == own
    ]
