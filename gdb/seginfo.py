# SPDX-License-Identifier: GPL-2.0-only
"""Check segment_info() from the debugger: type `source gdb/seginfo.py`.

Sets a breakpoint in __x64_sys_segment_info. At each call it walks current->mm and its
areas (the vm_next chain, or since Linux 6.1 the maple tree) and checks what the kernel
copied to the user against it.
`help seginfo` has the rest.
"""

import os
import signal
import sys

import gdb


def _without_ctrl_c(function):
    """Call a function that Ctrl-C must not stop halfway; it is obeyed afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return function()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _load():
    """Load the package afresh, so that sourcing again picks up changes.

    Returns the function that starts the check, which may wait for the guest.
    """
    # Not __file__: in what a Python script has gdb source, gdb leaves it the script's.
    here = os.path.dirname(os.path.abspath(_load.__code__.co_filename))
    if here not in sys.path:
        sys.path.insert(0, here)
    old = sys.modules.get("lab.commands.seginfo")
    if old is not None:
        old.stop()
    old = sys.modules.get("lab.replay.session")
    moments = old.release() if old is not None else []
    for name in [name for name in sys.modules if name.split(".")[0] == "lab"]:
        del sys.modules[name]
    try:
        from lab.commands import explore, seginfo
        from lab.replay import session
    except ModuleNotFoundError as missing:
        package = missing.name.split(".")[0]
        if package not in ("rich", "numpy", "elftools"):
            raise
        raise gdb.GdbError(
            f"gdb's Python has no module {package}: type `make setup` in a shell, or "
            "install Debian's python3-rich, python3-numpy and python3-pyelftools."
        ) from None
    session.register(moments)
    seginfo.register()
    explore.register()
    return seginfo.start


try:
    _without_ctrl_c(_load)()
except KeyboardInterrupt:
    gdb.write("seginfo: interrupted: type source gdb/seginfo.py again.\n", gdb.STDERR)
except Exception as problem:
    try:
        from lab.target import terminal, unforeseen
    except Exception:
        gdb.write(
            "seginfo: the package gdb/lab, which belongs beside gdb/seginfo.py, is "
            "missing or damaged: source gdb/seginfo.py from a whole clone.\n",
            gdb.STDERR,
        )
    else:
        why = unforeseen.sentence("it cannot be loaded", problem)
        terminal.write(f"seginfo: {why}\n", gdb.STDERR)
