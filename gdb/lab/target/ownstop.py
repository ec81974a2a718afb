# SPDX-License-Identifier: GPL-2.0-only
"""Breakpoints of the lab's own, at which the lab itself says what there is to see.

gdb tells of a stop in two ways: a terminal gets the place, a front end that speaks MI
(an editor) gets *stopped with reason, frame and thread. For a breakpoint that is
silent both are left out, and the editor does not know where the guest stands. So ours
are not silent: gdb is kept from printing, and only for that one stop.
"""

from __future__ import annotations

import gdb

from . import settings

QUIET = "suppress-cli-notifications"


class OwnStop(gdb.Breakpoint):
    """A stop at an address. A subclass has is_reached().

    A hardware breakpoint, because at reset no kernel is mapped into which another kind
    could be planted.
    """

    def __init__(self, address: int, internal: bool = True) -> None:
        with settings.needed():
            super().__init__(
                f"*{address:#x}", gdb.BP_HARDWARE_BREAKPOINT, internal=internal
            )
        self.place = address

    def is_reached(self) -> bool:
        """The guest stands there; is it to stop? Raises nothing."""
        raise NotImplementedError

    def stop(self) -> bool:
        if not self.is_reached():
            return False
        # Where the person has a breakpoint as well gdb's word on that is wanted
        self.silent = _person_stops_at(self.place)
        if not self.silent:
            _keep_quiet()
        return True


def _person_stops_at(address: int) -> bool:
    return any(
        place.address == address
        for one in gdb.breakpoints()
        if one.enabled and not isinstance(one, OwnStop)
        for place in one.locations  # type: ignore[attr-defined]
    )


def _keep_quiet() -> None:
    """gdb prints nothing of the stop that comes now."""
    if not gdb.parameter(QUIET):
        gdb.execute(f"set {QUIET} on")
        gdb.events.stop.connect(_stopped)


def _stopped(event: object) -> None:
    gdb.events.stop.disconnect(_stopped)
    gdb.execute(f"set {QUIET} off")
