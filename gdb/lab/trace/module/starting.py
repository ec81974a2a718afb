# SPDX-License-Identifier: GPL-2.0-only
"""What is done with a module that is put together: notifiers, parameters, init."""

from __future__ import annotations

from ...linux import module, moduleparam, notifier
from ...linux.errno import is_error, result_text
from ...linux.structs.lib import Module
from ...printable import text_of
from ...sizes import counted
from ...target import kernel, structs
from ...target.cstruct import Ptr
from ..engine import Tracer
from ..event import Call, Moment, Point
from .events import InitCalled, InitReturned, Notified, ParametersSet
from .state import Ledger, Load, function_at, names_text, state_name

NOTIFY_STOP_MASK = 0x8000  # include/linux/notifier.h
CALL_CHAIN = "blocking_notifier_call_chain"
CALL_CHAIN_ROBUST = "blocking_notifier_call_chain_robust"  # v5.10 (70d932985757)


class Starting:
    """Modules that begin to run."""

    def __init__(self, tracer: Tracer, ledger: Ledger) -> None:
        self.tracer = tracer
        self.ledger = ledger

    def points(self) -> list[Point]:
        """Where it stops."""
        return [
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
        ]

    def _notify(self, moment: Moment) -> tuple[Ptr[Module], int] | None:
        """blocking_notifier_call_chain(&module_notify_list, state, module).

        The other one also has the state to go back to if somebody refuses.
        """
        if moment.argument(0) != structs.address_of("module_notify_list"):
            return None
        robust = moment.function == CALL_CHAIN_ROBUST
        own = Ptr[Module](moment.argument(3 if robust else 2))
        load = self.ledger.loads.get(moment.task.address)
        state = moment.argument(1)
        if load is not None and state_name(state) == "COMING":
            load.where = "prepare_coming_module"
        return own, state

    def _notified(self, moment: Moment, call: Call) -> None:
        own, state = call.note
        chain = structs.address_of("module_notify_list")
        names = list(notifier.functions_of(chain))
        word = state_name(state)
        result = moment.int_result
        stops = "; one of them stops it" * bool(result & NOTIFY_STOP_MASK)
        name = module.name_of(Module(kernel.memory(), own))
        event = Notified(
            what=f"tells {counted(len(names), 'notifier')} that {name} is {word}{stops}",
            lines=(names_text(names),) * bool(names),
            module=name,
            state=word,
            notifiers=names,
            result=result,
        )
        self.tracer.emit(moment, event)

    def _parse(self, moment: Moment) -> str | None:
        """parse_args(doing, args, params, num, ...): who asks, and for what."""
        load = self.ledger.loads.get(moment.task.address)
        if load is None or not load.module:
            return None
        if moment.argument(2) != Module(kernel.memory(), load.module).kp:
            return None
        load.where = "parse_args"
        return text_of(kernel.memory().read_string(moment.argument(1)))

    def _unknown(self, moment: Moment) -> None:
        """unknown_module_param_cb(param, val, ...)."""
        load = self.ledger.loads.get(moment.task.address)
        if load is not None:
            name = kernel.memory().read_string(moment.argument(0))
            load.unknown.append(text_of(name))

    def _parsed(self, moment: Moment, call: Call) -> None:
        load, arguments = self.ledger.loads[moment.task.address], call.note
        own = Module(kernel.memory(), load.module)
        values = {each.name: each.value for each in moduleparam.parameters(own)}
        result = moment.result if is_error(moment.result) else 0
        what = f'{load.name} gets the parameters "{arguments.strip()}"'
        if not arguments.strip():
            what = f"{load.name} gets no parameters"
        if result:
            what += f": {result_text(result)}"
        elif load.unknown:
            what += f": it has no {names_text(load.unknown)}, which is passed over"
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
        load, init = self.ledger.loads.get(moment.task.address), moment.argument(0)
        if load is None or not load.module:
            return None
        if init != Module(kernel.memory(), load.module).init:
            return None
        load.where = "do_one_initcall"
        symbol = function_at(init)
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
