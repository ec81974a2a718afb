# SPDX-License-Identifier: GPL-2.0-only
"""The moments of a recording: where something happened, counted in instructions.

A replay executes the same instructions in the same order each time, so their number
since the reset says exactly where it stands.
"""

from __future__ import annotations

import bisect
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Iterator

from ..printable import one_line
from ..schema import Schema, heading, is_of

# In the order in which several moments at one instruction are told.
KINDS = ("start", "exec", "event", "hit", "killed", "end")


@dataclass(frozen=True)
class Moment:
    """Something that happened at one instruction."""

    count: int  # instructions since the reset
    kind: str  # one of KINDS
    time: int | None  # ns since boot by the guest's clock; None before it has one
    pid: int | None  # of the thread that ran; None before there was one
    comm: str
    what: str

    def is_plausible(self) -> bool:
        """Do the members have their types, and are the numbers possible?"""
        numbers = [self.count]
        numbers += [number for number in (self.time, self.pid) if number is not None]
        return (
            all(type(number) is int and 0 <= number < 1 << 63 for number in numbers)
            and self.kind in KINDS
            and isinstance(self.comm, str)
            and isinstance(self.what, str)
        )

    @property
    def key(self) -> tuple[int, int, str]:
        return self.count, KINDS.index(self.kind), self.what


@dataclass
class MomentsFile(Schema, schema="moments"):
    """The moments of a recording, in their order: moments.json."""

    moments: list[Moment]


FIELDS = tuple(field.name for field in fields(Moment))


class Moments:
    """All known moments, each once, in the order in which they happened."""

    def __init__(self, known: list[Moment] | None = None) -> None:
        self._all: list[Moment] = []
        self._hits: dict[int, Moment] = {}  # by their place
        self._places: list[int] = []  # of the hits, in order
        for moment in known or []:
            self.add(moment)

    def __iter__(self) -> Iterator[Moment]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, moment: Moment) -> None:
        """Put a moment in its place. A hit is identified by its instruction alone."""
        if moment.kind == "hit":
            if moment.count in self._hits:
                return
            self._hits[moment.count] = moment
            bisect.insort(self._places, moment.count)
        place = bisect.bisect_left(self._all, moment.key, key=lambda known: known.key)
        if place == len(self._all) or self._all[place].key != moment.key:
            self._all.insert(place, moment)

    def hit_at(self, count: int) -> tuple[int, Moment] | None:
        """Number and moment of the hit that returns there, None if none is known."""
        moment = self._hits.get(count)
        if moment is None:
            return None
        return bisect.bisect_left(self._places, count) + 1, moment

    @property
    def end(self) -> int | None:
        """Where the recording ends, None if that is not known."""
        last = self._all[-1] if self._all else None
        return last.count if last is not None and last.kind == "end" else None

    def finish(self, count: int, what: str, time: int) -> None:
        """Add the end of the recording, no earlier by the guest's clock than any moment."""
        time = max((time, *(moment.time or 0 for moment in self._all)))
        self.add(Moment(count, "end", time or None, None, "", what))

    def save(self, file: Path) -> None:
        lines = ",\n".join(json.dumps(asdict(moment)) for moment in self._all)
        head = json.dumps(heading(MomentsFile))[:-1]
        text = f'{head},\n"moments": [\n{lines}\n]}}\n'
        file.write_text(text, encoding="ascii")

    @classmethod
    def load(cls, file: Path) -> Moments:
        """Read a file. Raises OSError, and ValueError if save() did not write it."""
        try:
            data = json.loads(file.read_text("ascii"))
            if not is_of(data, MomentsFile):
                raise ValueError("these are no moments that this lab can read")
            known = [Moment(**members) for members in data["moments"]]
        except (TypeError, KeyError, RecursionError) as problem:
            raise ValueError(str(problem)) from None
        if not all(moment.is_plausible() for moment in known):
            raise ValueError("a moment has a member that no moment has")
        return cls(
            [
                replace(moment, comm=one_line(moment.comm), what=one_line(moment.what))
                for moment in known
            ]
        )
