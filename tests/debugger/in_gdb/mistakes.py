# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, at a hit: make everything of the lab that gdb calls raise an unexpected error.

The result has the error of each command and function, by kind of error, and what the last
run of the guest printed about breakpoints and events. What gdb itself prints is in its
output.
"""

import json
import os
import struct
from contextlib import ExitStack

import gdb
from lab.check import stops as syscall
from lab.commands.functions import Function
from lab.commands.seginfo import check
from lab.target import kernel, unforeseen
from lab.trace import stops

PREFIXES = ("lab", "seginfo")


def recurse(*_):
    return recurse()


def raiser(error):
    def raises(*_, **__):
        raise error

    return raises


KINDS = {
    "ValueError": raiser(ValueError("\x1b[2Jtwo\nlines")),
    "KeyError": raiser(KeyError("vm_next")),
    "error": raiser(struct.error("unpack requires a buffer of 8 bytes")),
    "UnicodeDecodeError": raiser(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd")),
    "AssertionError": raiser(AssertionError()),
    "MemoryError": raiser(MemoryError()),
    "OverflowError": raiser(OverflowError("int too large")),
    "RecursionError": recurse,
    "gdb.error": raiser(gdb.error('No symbol "nobody" in current context.')),
    "KeyboardInterrupt": raiser(KeyboardInterrupt()),
}


def subclasses(kind):
    for subclass in kind.__subclasses__():
        yield from (subclass, *subclasses(subclass))


def ask(command):
    """Run a command, and return its error, or that it was interrupted."""
    try:
        gdb.execute(command, to_string=True)
    except gdb.error as problem:
        return str(problem)
    except KeyboardInterrupt:
        return "interrupted"
    return "no error"


class With:
    """Replace a member of something for the time of a with block."""

    def __init__(self, owner, name, value):
        self.owner, self.name, self.value = owner, name, value

    def __enter__(self):
        self.before = self.owner.__dict__[self.name]
        setattr(self.owner, self.name, self.value)

    def __exit__(self, *_):
        setattr(self.owner, self.name, self.before)


def patched(owners, name, value):
    """Make the same replacement in several classes."""
    stack = ExitStack()
    for owner in owners:
        stack.enter_context(With(owner, name, value))
    return stack


listing = "".join(gdb.execute(f"help {name}", to_string=True) for name in PREFIXES)
names = [line.split(" -- ")[0] for line in listing.splitlines() if " -- " in line]
commands = [kind for kind in subclasses(unforeseen.Command) if "do" in kind.__dict__]
functions = [kind for kind in subclasses(Function) if "find" in kind.__dict__]
found = {"commands": {}, "functions": {}}
for kind, raises in KINDS.items():
    with patched(commands, "do", raises), patched(functions, "find", raises):
        found["commands"][kind] = {name: ask(name) for name in (*PREFIXES, *names)}
        found["functions"][kind] = {
            function.name: ask(f"output ${function.name}()") for function in functions
        }
gdb.execute("set lab debug on")
with patched(commands, "do", KINDS["KeyError"]):
    found["with a traceback"] = ask("lab ps")
gdb.execute("set lab debug off")

# What gdb calls by itself
with With(kernel, "refresh", KINDS["KeyError"]):
    gdb.execute("stepi")
with With(syscall.EntryStop, "handle", KINDS["KeyError"]):
    gdb.execute("continue")
found["the check's errors"] = check.errors
with With(stops.Stops, "_at", KINDS["KeyError"]):
    found["trace"] = gdb.execute("lab trace mmap all --limit 1", to_string=True)
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(found, file)
