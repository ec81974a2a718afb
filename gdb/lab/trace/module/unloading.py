# SPDX-License-Identifier: GPL-2.0-only
"""How a module goes: delete_module(), and its memory given back."""

from __future__ import annotations

from ...linux import mm, module, registers
from ...linux.errno import result_text
from ...linux.registers import WRAPPER
from ...linux.structs.lib import Module
from ...linux.task import register
from ...printable import text_of
from ...sizes import size_text
from ...target import kernel
from ...target.cstruct import Ptr
from ...target.memory import Fault
from ..engine import Tracer
from ..event import Call, Moment, Point
from .events import ExitCalled, MemoryGivenBack, UnloadCalled, Unloaded
from .loading import Loading
from .state import Ledger, function_at, names_text, references_text

MODULE_NAME_LEN = 64 - 8  # include/linux/moduleparam.h


class ModulePoint(Point):
    """A stop in a module, at a function that is no symbol of the kernel's."""

    def function(self) -> str:
        return self.functions[0]


class Unloading:
    """Modules that end, and memory that was a module's."""

    def __init__(self, tracer: Tracer, ledger: Ledger, loading: Loading) -> None:
        self.tracer = tracer
        self.ledger = ledger
        self.loading = loading
        self._unloads: dict[int, str] = {}  # names, by struct task_struct *

    def points(self) -> list[Point]:
        """Where it stops."""
        return [
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

    def _forget(self, moment: Moment) -> None:
        self._unloads.pop(moment.task.address, None)

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
        self.ledger.note_memory(own)
        self._unloads[moment.task.address] = name
        users = [module.name_of(user) for user in module.users_of(own)]
        references = module.module_refcount(own)
        state = module.state_of(own)
        told = f"unloads {name}: {state}, {references_text(references)}"
        event = UnloadCalled(
            what=told + f", {names_text(users)}" * bool(users),
            module=name,
            state=state,
            references=references,
            users=users,
        )
        self.tracer.emit(moment, event)
        place = own.exit or 0
        if place:
            symbol = function_at(place)
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
        self.ledger.count(name, "unloads", int(result == 0))
        what = f"{name or 'it'} is unloaded"
        if result:
            what = f"{name or 'it'} is not unloaded: {result_text(result)}"
        self.tracer.emit(moment, Unloaded(what=what, module=name, result=result))

    def _frees(self, moment: Moment) -> None:
        """free_module(): of a module that was there before the timeline, too."""
        own = Ptr[Module](moment.argument(0))
        self.ledger.note_memory(Module(kernel.memory(), own))

    def _gives_back(self, moment: Moment) -> None:
        """module_memfree(address), in the task or later in a kworker."""
        load = self.ledger.loads.get(moment.task.address)
        if load is not None and not load.module:  # nothing else was called until now
            load.where = "add_unformed_module"
            self.loading.place(moment, load, looked_up=False)
        name, piece = self.ledger.memory.pop(moment.argument(0), ("", None))
        if piece is None:
            return
        self.ledger.count(name, "given back", piece.size)
        event = MemoryGivenBack(
            what=f"{name} gives back {piece.name}: {size_text(piece.size)} "
            f"at {piece.start:#x}",
            module=name,
            memory=piece,
        )
        self.tracer.emit(moment, event)


def _user_string(moment: Moment, address: int) -> str:
    """A module's name in the program's memory, "" if it is not there yet."""
    raw = b""
    try:
        while b"\0" not in raw and len(raw) < MODULE_NAME_LEN:
            raw += mm.access_process_vm(moment.task.mm, address + len(raw), 1)
    except Fault:
        return ""
    return text_of(raw.split(b"\0")[0])
