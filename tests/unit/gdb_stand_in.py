# SPDX-License-Identifier: GPL-2.0-only
"""A small stand-in for the module gdb: as much of it as is needed to parse a command.

    with loaded() as gdb:
        gdb.type("lab vma 0x401000 1")
        assert gdb.written() == "..."

A line takes the same way as one that a person types: to invoke() of the command with the
longest name that matches. A mistake in it raises GdbError, whose text gdb would show.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, Iterator

# The values that the package needs, so that it does not change any
SETTINGS: dict[str, Any] = {
    "language": "c",
    "input-radix": 10,
    "output-radix": 10,
    "disassembly-flavor": "att",
    "print address": True,
    "print symbol-filename": False,
    "print max-symbolic-offset": None,
    "opaque-type-resolution": True,
    "style enabled": False,
    "width": 80,
    "lab debug": True,  # show tracebacks of the lab's own mistakes
}


class Error(RuntimeError):
    """gdb.error"""


class GdbError(Exception):
    """gdb.GdbError"""


class Value(int):
    """gdb.Value for a number or a pointer."""

    type = "long"

    def cast(self, kind: str) -> Value:
        other = Value(self)
        other.type = kind
        return other


class Type(str):
    """gdb.Type, just its name."""

    def pointer(self) -> Type:
        return Type(f"{self} *")


class StandIn(ModuleType):
    """The module gdb, with what the tests look at."""

    error = MemoryError = Error
    GdbError = GdbError
    Value = Value

    def __init__(self) -> None:
        super().__init__("gdb")
        self.commands: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.executed: list[str] = []
        self._written: list[str] = []
        self.events = _Events()
        stand_in = self

        class Command:
            def __init__(self, name: str, *kind: Any, **more: Any) -> None:
                stand_in.commands[name] = self

        class Function:
            def __init__(self, name: str) -> None:
                stand_in.functions[name] = self

        class Other:
            """A breakpoint or parameter, of which no instance is made."""

        self.Command, self.Function = Command, Function
        self.Breakpoint = self.FinishBreakpoint = self.Parameter = Other

    def __getattr__(self, name: str) -> int:
        if name.isupper():  # COMMAND_DATA and other constants
            return 0
        raise AttributeError(f"the stand-in for gdb has no {name}")

    def type(self, line: str) -> None:
        """Run a line as gdb does when a person types it."""
        words = line.split(" ")
        for end in range(len(words), 0, -1):
            command = self.commands.get(" ".join(words[:end]))
            if command is not None:
                command.invoke(" ".join(words[end:]), True)
                return
        raise GdbError(f'Undefined command: "{line}".')

    def written(self) -> str:
        """Return all that was written since the last call."""
        text = "".join(self._written)
        self._written.clear()
        return text

    # --- The module's functions ----------------------------------------------------

    def write(self, text: str, stream: int = 0) -> None:
        self._written.append(text)

    def flush(self, stream: int = 0) -> None:
        """Do nothing: there is no buffer."""

    def execute(self, line: str, *_: Any, to_string: bool = False) -> str:
        self.executed.append(line)
        return ""

    def parameter(self, name: str) -> Any:
        if name not in SETTINGS:
            raise RuntimeError(f"Could not find parameter `{name}'.")
        return SETTINGS[name]

    string_to_argv = staticmethod(shlex.split)
    lookup_type = staticmethod(Type)

    def selected_inferior(self) -> Any:
        return SimpleNamespace(threads=lambda: [])


class _Events:
    """gdb.events, whose events never happen."""

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(connect=lambda _: None, disconnect=lambda _: None)


@contextmanager
def loaded() -> Iterator[StandIn]:
    """Register the lab's commands with a stand-in, for the time of a with block."""
    assert "gdb" not in sys.modules
    stand_in = StandIn()
    sys.modules["gdb"] = stand_in
    try:
        from lab.commands import explore, seginfo

        explore.register()
        seginfo.register()
        yield stand_in
    finally:
        for name, module in list(sys.modules.items()):
            if module is stand_in or vars(module).get("gdb") is stand_in:
                del sys.modules[name]
