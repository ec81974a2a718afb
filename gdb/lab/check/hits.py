# SPDX-License-Identifier: GPL-2.0-only
"""The hits of the check so far, each once, in order of time.

A replay can come to a hit again, from either side, or jump over it. There a hit is
identified by its place: the number of instructions since the start.
"""

from __future__ import annotations

import dataclasses
from typing import Callable

from ..replay import session
from ..target import terminal
from .hit import Hit


class HitLog:
    """All hits, and the last one reported."""

    def __init__(self, report: Callable[[Hit], None]) -> None:
        self.hits: list[Hit] = []
        self.last: Hit | None = None
        self.report = report
        self._by_place: dict[int, Hit] = {}

    def hit(self, number: int) -> Hit | None:
        """The hit with a number, None if a replay has jumped over it."""
        return next((hit for hit in self.hits if hit.number == number), None)

    def add(self, hit: Hit) -> None:
        """Number a hit, keep it and report it."""
        if session.active():
            place = session.instruction_count()
            session.note("hit", hit.summary, hit.task.pid, hit.task.comm)
            found = session.hit_at(place)
            assert found is not None, "the hit was noted just now"
            number, _ = found
            hit = dataclasses.replace(hit, number=number)
            self._keep(place, hit)
        else:
            hit = dataclasses.replace(hit, number=len(self.hits) + 1)
            self.hits.append(hit)
        self.last = hit
        self.report(hit)

    def _keep(self, place: int, hit: Hit) -> None:
        is_latest = all(place > known for known in self._by_place)
        self._by_place[place] = hit
        if is_latest:
            self.hits.append(hit)
        else:
            self.hits[:] = [self._by_place[known] for known in sorted(self._by_place)]

    def again(self, place: int) -> bool:
        """Show the hit that returns at a place of the replay, as it was judged.

        Returns whether there is one. Only calls that this session executed forward are
        known in full; for the others the recording has the verdict.
        """
        hit, recorded = self._by_place.get(place), session.hit_at(place)
        if hit is not None:
            self.last = hit
            self.report(hit)
        elif recorded is not None:
            number, moment = recorded
            terminal.write(
                f"hit {number}, {moment.comm} {moment.pid}: {moment.what}, as recorded; "
                "execute the call forward for all of it.\n"
            )
        return hit is not None or recorded is not None
