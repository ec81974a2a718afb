# SPDX-License-Identifier: GPL-2.0-only
"""The lab's own breakpoints, at which the lab and not gdb says what there is to see.

gdb reports a stop in two ways: a terminal gets the place, a front end that speaks MI
(an editor) gets *stopped with reason, frame and thread. A silent breakpoint suppresses
both, and the editor would not know where the guest stands. So ours are not silent:
instead gdb is kept from printing, and only for that one stop.
"""

from __future__ import annotations

import gdb

from . import settings

QUIET = "suppress-cli-notifications"


class OwnStop(gdb.Breakpoint):
    """A stop at an address. A subclass has is_reached().

    It is a hardware breakpoint, because at reset no kernel is mapped yet into which a
    software breakpoint could be planted.
    """

    def __init__(self, address: int, internal: bool = True) -> None:
        with settings.needed():
            super().__init__(
                f"*{address:#x}", gdb.BP_HARDWARE_BREAKPOINT, internal=internal
            )
        self.place = address

    def is_reached(self) -> bool:
        """The guest has come to the address: is it to stop? Raises nothing."""
        raise NotImplementedError

    def stop(self) -> bool:
        if not self.is_reached():
            return False
        # If the person has a breakpoint here too, gdb is to report that
        self.silent = _person_stops_at(self.place)
        if not self.silent:
            _keep_quiet()
        return True


def _person_stops_at(address: int) -> bool:
    return any(
        place.address == address
        for stop in gdb.breakpoints()
        if stop.enabled and not isinstance(stop, OwnStop)
        for place in stop.locations  # type: ignore[attr-defined]
    )


def _keep_quiet() -> None:
    """Keep gdb from printing the stop that comes now."""
    if not gdb.parameter(QUIET):
        gdb.execute(f"set {QUIET} on")
        gdb.events.stop.connect(_stopped)


def _stopped(event: object) -> None:
    gdb.events.stop.disconnect(_stopped)
    gdb.execute(f"set {QUIET} off")
