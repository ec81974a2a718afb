# SPDX-License-Identifier: GPL-2.0-only
"""layout lab: the source and the current process's address space, side by side."""

from __future__ import annotations

import os
import sys
from typing import Any

import gdb

from ..printable import one_line
from ..target.debugger import Refused
from ..target.unforeseen import Command, handler, sentence
from ..view import tui
from ..window import picture
from .base import no_garbage_collection

WINDOW = "lab"
LAYOUT = "lab-source"  # what gdb itself calls the layout
told = handler("layout lab")
SPLIT = f"{{-horizontal src 1 {WINDOW} 1}} 2 status 0 cmd 1"
CHECK = "maintenance check-lab-tui"
INSTEAD = "`lab vmas` and `lab map` show the address space without it"

# A command in gdb's own language, since gdb.execute() of a layout would leave gdb
# writing past its TUI: it puts the output back where it was before.
COMMAND = f"""define layout lab
{CHECK} $argc
layout {LAYOUT}
end
"""
HELP = """document layout lab
The source, and beside it the current process's address space: layout lab

In gdb's TUI. The window `lab` is read anew at every stop, and shows, from its
top: what the selected CPU does; where $pc and $sp of the selected frame
point, and the last argument of its function that is a pointer; in the kernel also
where user mode was left, and the last pointer given to the system call; what
changed since the last stop; the areas with start, size, rights and name, and
below each what lies in it: boundaries of the mm, and what points there. New
areas are marked +, areas that are gone -, those that changed ~. A task without
an address space shows the kernel's half.

`focus lab` lets the arrow keys, PageUp and PageDown scroll it, `focus cmd` gives
them back; `winheight lab +5` and `tui disable` work as for gdb's own windows, and
`tui new-layout NAME lab 1 status 0 cmd 1` makes a layout without the source.

Example:
    (gdb) layout lab
end
"""


class Panel:
    """The contents of the window: the picture of this stop, and which part is visible."""

    def __init__(self, window: Any) -> None:
        self.window = window  # gdb.TuiWindow
        self.history = picture.History()
        self.picture: picture.Picture | None = None
        self.layout: tui.Layout | None = None  # of this picture, for some width
        self.top = self.left = 0
        self.selected: tuple[
            Any, ...
        ] = ()  # see _selected(), when the picture was taken

    def stopped(self) -> None:
        """The target has stopped."""
        self.history.stop += 1
        self.look()

    def changed(self) -> None:
        """Memory or a register was written."""
        self.selected = ()

    def prompted(self) -> None:
        """A command has ended; it may have selected another frame or CPU."""
        if self.selected == _selected():
            self.draw()
        else:
            self.look()

    def look(self) -> None:
        """Read everything again and show it, another process from its top."""
        before = self.picture
        self.selected = _selected()
        with no_garbage_collection():
            self.picture = picture.look(self.history)
        if before is None or before.who != self.picture.who:
            self.top = 0
        self.layout = None
        self.draw()

    def draw(self) -> None:
        """Show what was read; the window may have been resized."""
        if not self.window.is_valid():
            return
        if self.picture is None:
            self.look()
            return
        width, height = self.window.width, self.window.height
        if self.layout is None or self.layout.width != width:
            try:
                self.layout = tui.Layout(self.picture, width)
            except Exception as mistake:
                trouble = sentence("layout lab", mistake)
                self.layout = tui.Layout(picture.Picture(trouble=trouble), width)
        self.top = max(0, min(self.top, len(self.layout.lines) - height))
        self.window.title = one_line(self.picture.who or WINDOW)
        self.window.write(self.layout.text(self.top, self.left, height), True)

    def scroll(self, down: int, right: int) -> None:
        """Move the visible part."""
        self.top += down
        self.left = max(0, self.left + right)
        self.draw()


def _selected() -> tuple[Any, ...]:
    """The selected program, CPU and frame."""
    program = getattr(gdb.current_progspace(), "filename", None)
    thread = gdb.selected_thread()
    try:
        frame = gdb.selected_frame()
        return program, thread and thread.global_num, frame.level(), frame.pc()
    except gdb.error:  # there is no connection, or the guest runs
        return program, thread and thread.global_num


class Window:
    """The window as gdb knows it: passes everything on to a Panel.

    Sourcing gdb/seginfo.py again loads the package afresh while the window stays
    open, so the Panel is always one of the package that is loaded now.
    """

    def __init__(self, window: Any) -> None:
        self._window = window
        self._panel: Any = None
        self._handlers = {
            "stop": told(lambda event: self.panel.stopped()),
            "memory_changed": told(lambda event: self.panel.changed()),
            "register_changed": told(lambda event: self.panel.changed()),
            "before_prompt": told(lambda: self.panel.prompted()),
        }
        for name, function in self._handlers.items():
            getattr(gdb.events, name).connect(function)

    @property
    def panel(self) -> Panel:
        """What is in the window."""
        kind = getattr(sys.modules.get(__name__), "Panel", Panel)
        if type(self._panel) is not kind:
            self._panel = kind(self._window)
        return self._panel

    def close(self) -> None:
        """The window was closed."""
        for name, function in self._handlers.items():
            getattr(gdb.events, name).disconnect(function)

    @told
    def render(self) -> None:
        """The window was opened or resized."""
        self.panel.draw()

    @told
    def vscroll(self, lines: int) -> None:
        """An arrow key or PageUp, PageDown while the window has the focus."""
        self.panel.scroll(lines, 0)

    @told
    def hscroll(self, columns: int) -> None:
        """An arrow key while the window has the focus."""
        self.panel.scroll(0, columns)


class CheckTui(Command):
    """Refuse where gdb's TUI cannot run, and say what to type instead."""

    def __init__(self) -> None:
        super().__init__(CHECK, gdb.COMMAND_MAINTENANCE)

    def do(self, argument: str) -> None:
        if argument != "0":
            raise Refused("layout lab takes no argument; see `help layout lab`.")
        why = ""
        if not (os.isatty(0) and os.isatty(1)):
            why = "gdb's TUI needs a terminal"
        elif os.environ.get("TERM", "dumb") == "dumb":
            why = "gdb's TUI needs a terminal with a cursor, and TERM says it has none"
        if why:
            raise Refused(f"layout lab: {why}; {INSTEAD}.")


class NoLayout(Command):
    """Layouts need a gdb that was built with its text user interface."""

    def __init__(self) -> None:
        super().__init__("layout", gdb.COMMAND_USER)

    def do(self, argument: str) -> None:
        raise Refused(
            f"layout {argument}: this gdb was built without its text user interface "
            f"(TUI): use Debian's package gdb; {INSTEAD}."
        )


def register() -> None:
    """Register the window and its layout with gdb, if it has a TUI."""
    if not hasattr(gdb, "register_window_type"):
        NoLayout()
        return
    factory: Any = Window  # typeshed asks for click(), which gdb does not need
    gdb.register_window_type(WINDOW, factory)
    gdb.execute(f"tui new-layout {LAYOUT} {SPLIT}")
    CheckTui()
    gdb.execute(COMMAND)
    gdb.execute(HELP)
