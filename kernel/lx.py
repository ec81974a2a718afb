# SPDX-License-Identifier: GPL-2.0-only
"""What the lab adds to the kernel's own gdb commands: every error becomes one sentence.

What the guest wrote is escaped as everywhere in the lab, so that no terminal obeys it.

kernel/wire.sh puts this into the lab's copy of scripts/gdb as linux/lab.py, with
gdb/lab/printable.py beside it, and makes vmlinux-gdb.py import it before the modules with
the commands and call ready() after them. It also makes these decode the guest's strings
with the codecs lab_name and lab_text, which are defined here.
"""

import codecs

import gdb

from linux.printable import printable, text_of

_COMMAND, _FUNCTION = gdb.Command, gdb.Function

NOT_YET = (
    "the kernel does not run yet, there is nothing in its memory: let it boot first, with "
    "continue and then Ctrl-C or a breakpoint"
)

# Bugs of a command that are not mended: printed whenever it is typed
LIMITS = {
    "lx-symbols": (
        "lx-symbols: of a module's sections only .text, .text.hot, .text.unlikely, .data, "
        ".data..read_mostly, .rodata and .bss get their addresses. A breakpoint in its "
        "__init or __exit code gets a wrong address and is never hit, and the symbols of "
        "a module stay after rmmod, for whatever takes its place: then type lx-symbols "
        "again.\n"
    ),
}


def _is_running():
    """Is the kernel's memory set up? It is not before its first instructions."""
    try:
        gdb.parse_and_eval("system_state").fetch_lazy()
    except gdb.error:
        return False
    return True


def _sentence(name, problem):
    """Return an unforeseen error as one sentence."""
    cause = str(problem).strip().rstrip(".")
    if not _is_running():
        return f"{name}: {NOT_YET}."
    if isinstance(problem, gdb.MemoryError):
        return f"{name}: {cause}: the kernel has not set this up yet, or it is damaged."
    if isinstance(problem, gdb.error):
        return f"{name}: {cause}."
    return f"{name} cannot do this: {type(problem).__name__}, {cause}."


def _name(raw):
    """Return a string of the guest as one line, different for different strings."""
    return text_of(bytes(raw))


def _text(raw):
    """Return several lines of the guest, such as those of its log."""
    return "\n".join(map(text_of, bytes(raw).expandtabs().split(b"\n")))


def _codec(name):
    """Find the codec for VALUE.string("lab_name") and BYTES.decode("lab_text")."""
    form = {"lab_name": _name, "lab_text": _text}.get(name)
    if form is None:
        return None
    return codecs.CodecInfo(
        encode=codecs.utf_8_encode,
        decode=lambda raw, errors="strict": (form(raw), len(raw)),
        name=name,
    )


def _guarded(name, invoke, result_needed):
    """Wrap the invoke() of a command or function so that its errors are one sentence."""

    def guarded(*args):
        if name in LIMITS:
            if not _is_running():
                raise gdb.GdbError(f"{name}: {NOT_YET}.")
            gdb.write(LIMITS[name])
        write = gdb.write
        gdb.write = lambda text, *to: write(printable(text.expandtabs()), *to)
        try:
            result = invoke(*args)
        except gdb.GdbError as refused:
            raise gdb.GdbError(printable(str(refused))) from None
        except Exception as problem:
            if gdb.parameter("python print-stack") == "full":
                raise
            raise gdb.GdbError(printable(_sentence(name, problem))) from None
        finally:
            gdb.write = write
        if result is None and result_needed:
            raise gdb.GdbError(f"{name}: there is none.")
        return result

    return guarded


class _Command(_COMMAND):
    def __init__(self, name, *args, **kwargs):
        self.invoke = _guarded(name, self.invoke, False)
        super().__init__(name, *args, **kwargs)


class _Function(_FUNCTION):
    def __init__(self, name):
        self.invoke = _guarded(f"${name}", self.invoke, True)
        super().__init__(name)


def ready():
    """Stop wrapping: all the kernel's commands are defined, later ones are not its own."""
    gdb.Command, gdb.Function = _COMMAND, _FUNCTION


codecs.register(_codec)
gdb.Command, gdb.Function = _Command, _Function
