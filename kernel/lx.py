# SPDX-License-Identifier: GPL-2.0-only
"""What the lab adds to the kernel's own gdb commands: whatever goes wrong is one sentence.

And what the guest wrote is shown, never obeyed, in the one form that the lab has for it.

kernel/wire.sh puts this into the lab's copy of scripts/gdb as linux/lab.py, with
gdb/lab/printable.py beside it, and lets vmlinux-gdb.py import it before the modules with
the commands and call ready() after them. It lets these take the guest's strings by the
codecs lab_name and lab_text, which are here.
"""

import codecs

import gdb

from linux.printable import printable, text_of

_COMMAND, _FUNCTION = gdb.Command, gdb.Function

NOT_YET = (
    "the kernel does not run yet, there is nothing in its memory: let it boot first, with "
    "continue and then Ctrl-C or a breakpoint"
)

# What a command does wrong that is not mended, told whenever it is typed
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
    """Whether the kernel's memory is there: not before its first instructions."""
    try:
        gdb.parse_and_eval("system_state").fetch_lazy()
    except gdb.error:
        return False
    return True


def _sentence(name, problem):
    """An unforeseen error as one sentence."""
    said = str(problem).strip().rstrip(".")
    if not _is_running():
        return f"{name}: {NOT_YET}."
    if isinstance(problem, gdb.MemoryError):
        return f"{name}: {said}: the kernel has not set this up yet, or it is damaged."
    if isinstance(problem, gdb.error):
        return f"{name}: {said}."
    return f"{name} cannot do this: {type(problem).__name__}, {said}."


def _name(raw):
    """A string of the guest in one line, which no other string has."""
    return text_of(bytes(raw))


def _text(raw):
    """Lines of the guest, such as its log's."""
    return "\n".join(map(text_of, bytes(raw).expandtabs().split(b"\n")))


def _codec(name):
    """What VALUE.string("lab_name") and BYTES.decode("lab_text") find."""
    form = {"lab_name": _name, "lab_text": _text}.get(name)
    if form is None:
        return None
    return codecs.CodecInfo(
        encode=codecs.utf_8_encode,
        decode=lambda raw, errors="strict": (form(raw), len(raw)),
        name=name,
    )


def _guarded(name, invoke, result_needed):
    """The method invoke() of a command or function, which fails in one sentence."""

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
    """All the kernel's commands are there: those to come are none of ours."""
    gdb.Command, gdb.Function = _COMMAND, _FUNCTION


codecs.register(_codec)
gdb.Command, gdb.Function = _Command, _Function
