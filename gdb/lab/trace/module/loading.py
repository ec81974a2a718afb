# SPDX-License-Identifier: GPL-2.0-only
"""How a module is put together: load_module() until its own code runs.

kernel/module/main.c, all in one file until v5.19 (cfc1d277891e).
"""

from __future__ import annotations

from collections import Counter

from ...linux import load_info, module, printk, relatives
from ...linux.errno import result_text
from ...linux.structs.lib import LoadInfo, Module
from ...printable import text_of
from ...sizes import counted, size_text
from ...target import kernel, structs
from ...target.cstruct import Ptr
from ...target.debugger import Refused
from ...target.elffile import SHF_ALLOC, BadElf
from ...target.memory import Broken
from ..engine import Tracer
from ..event import Call, Moment, Point
from .events import (
    LoadCalled,
    Loaded,
    LoadFails,
    MemoryPiece,
    PlacedSection,
    Relocated,
    RelocatedSection,
    SectionsPlaced,
    SymbolsFound,
)
from .state import Ledger, Load, names_text, references_text


class Loading:
    """Files that become modules."""

    def __init__(self, tracer: Tracer, ledger: Ledger) -> None:
        self.tracer = tracer
        self.ledger = ledger

    def points(self) -> list[Point]:
        """Where it stops."""
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
        ]

    def _forget(self, moment: Moment) -> None:
        self.ledger.loads.pop(moment.task.address, None)

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
        elif vermagic() not in ("", own.get("vermagic")):
            load.where = "check_modinfo"
        self.ledger.loads[moment.task.address] = load
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

    def place(self, moment: Moment, load: Load, looked_up: bool = True) -> None:
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
        memory = self.ledger.note_memory(own)
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
            + names_text([each.name for each in sections if each.memory == piece.name])
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
        what += f", {names_text(uses)} among it" * bool(uses)
        if missing:
            load.where = "simplify_symbols"
            what += f"; not found: {names_text(missing)}"
        event = SymbolsFound(
            what=what,
            lines=(names_text(sorted(found)),) * bool(found),
            module=load.name,
            found=found,
            missing=missing,
            uses=uses,
        )
        self.tracer.emit(moment, event)

    def _relocate(self, moment: Moment) -> int | None:
        """apply_relocate_add(sechdrs, strtab, symindex, relsec, me)."""
        load = self.ledger.loads.get(moment.task.address)
        if load is None:
            return None
        load.where = "apply_relocate_add"
        self.place(moment, load)
        return moment.argument(3) & 0xFFFF_FFFF

    def _relocated(self, moment: Moment, call: Call) -> None:
        load = self.ledger.loads[moment.task.address]
        info = load_info.load_info(load.info)
        load.relocated.append(load_info.relocations(info, load.sections, call.note))
        if moment.int_result < 0:
            self._tell_relocations(moment, load, moment.int_result)

    def _tell_relocations(self, moment: Moment, load: Load, result: int) -> None:
        kinds = Counter[str]()
        for each in load.relocated:
            kinds.update(each.by_kind)
        total = sum(kinds.values())
        self.ledger.count(load.name, "relocations", total)
        wrong = sum(each.wrong for each in load.relocated)
        event = Relocated(
            what=f"{load.name} has {counted(total, 'relocation')} in "
            f"{counted(len(load.relocated), 'section')}: "
            + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
            + f"; {wrong} places have another value" * bool(wrong)
            + f"; {result_text(result)}" * (result < 0),
            lines=(names_text([f"{x.section} {x.total}" for x in load.relocated], 99),),
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
        load = self.ledger.loads.get(moment.task.address)
        if load is not None:
            load.where = "module_finalize"
            self.place(moment, load)
            self._tell_relocations(moment, load, 0)
            load.where = "complete_formation"

    def _undo(self, moment: Moment) -> None:
        """module_unload_free(): a load that fails, before anything was relocated."""
        load = self.ledger.loads.get(moment.task.address)
        if load is not None and not load.module:
            load.where = "find_module_sections"
            self.place(moment, load)

    def _loaded(self, moment: Moment, call: Call) -> None:
        load: Load = call.note
        self._forget(moment)
        result = moment.int_result
        self.ledger.count(load.name, "failed" if result < 0 else "loads")
        if result < 0:
            self._tell_failure(moment, load, result)
            return
        own = Module(kernel.memory(), load.module)
        state, references = module.state_of(own), module.module_refcount(own)
        size = sum(piece.size for piece in module.pieces_of(own))
        event = Loaded(
            what=f"{load.name} is {state}: {size_text(size)}, {references_text(references)}",
            module=load.name,
            state=state,
            references=references,
            size=size,
        )
        self.tracer.emit(moment, event)

    def _tell_failure(self, moment: Moment, load: Load, result: int) -> None:
        messages = messages_since(moment, load.last_message)
        event = LoadFails(
            what=f"{load.name or 'it'} is not loaded: {result_text(result)}, from {load.where}()",
            lines=tuple(messages),
            module=load.name,
            result=result,
            where=load.where,
            messages=messages,
        )
        self.tracer.emit(moment, event)


def vermagic() -> str:
    """Which kernel a module must be for, "" if that is not known. Raises memory.Fault."""
    if not structs.has_symbol("vermagic"):
        return ""
    place = structs.address_of("vermagic")
    return text_of(kernel.memory().read_string(place))


def _piece_of(memory: list[MemoryPiece], address: int) -> str:
    """The piece of memory that an address is in, "" if in none."""
    inside = (one for one in memory if one.start <= address < one.start + one.size)
    return next((piece.name for piece in inside), "")


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


def messages_since(moment: Moment, last: int) -> list[str]:
    """What the current task has printed after a message of the log."""
    own = f"T{moment.task.pid}"
    return [
        message.text
        for message in _log()
        if message.seq > last and message.caller == own
    ]
