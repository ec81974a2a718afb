# SPDX-License-Identifier: GPL-2.0-only
"""lab goto: jump to a moment of the recording, forward or back."""

from __future__ import annotations

import gdb

from ..replay import session
from ..target import terminal
from ..target.debugger import Refused
from .base import LabCommand, show_frame


class Goto(LabCommand):
    """Jump to a moment of the recording, forward or back: lab goto N

    N is the number of a moment in lab timeline, or # and an instruction count, as
    lab timeline shows it. Breakpoints do not stop gdb on the way.

    Example: go to moment 6, then to ten instructions before it.
        (gdb) lab goto 6
        (gdb) lab goto #40842110
    """

    name = "goto"

    def do(self, argument: str) -> None:
        replay = session.needed()
        [wanted] = self.take(gdb.string_to_argv(argument), "N")
        moments = list(replay.moments)
        known = f"there are moments 0 to {len(moments) - 1}; see lab timeline"
        if wanted.startswith("#") and wanted[1:].isdecimal():
            replay.travel(int(wanted[1:]))
        elif not wanted.isdecimal():
            raise Refused(f"lab goto takes the number of a moment, or #COUNT: {known}.")
        elif int(wanted) >= len(moments):
            raise Refused(f"There is no moment {wanted}: {known}.")
        else:
            moment = moments[int(wanted)]
            replay.travel(moment.count)
            who = f"{moment.comm} {moment.pid}: " if moment.pid is not None else ""
            terminal.write(f"Moment {wanted}, {moment.kind}: {who}{moment.what}\n")
        show_frame()
