# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: what lab trace calls the changes between made-up areas."""

import json
import os

from lab.linux.mm_changes import Piece, Snapshot, changes
from lab.view.timeline import change_text

FILE, OTHER = 0x1000, 0x2000  # struct file *
RW, R, SHARED, LOCKED = 0x73, 0x71, 0x8, 0x2000  # vm_flags
Area = tuple  # start and end in pages, flags, file, page of the file, vma


def snapshot(*areas: Area) -> Snapshot:
    pieces = []
    for start, end, flags, file, page, vma in areas:
        pgoff = page if file else start
        name = {0: "", FILE: "/file", OTHER: "/other"}[file]
        pieces.append(Piece(start * 4096, end * 4096, flags, pgoff, file, name, vma))
    return Snapshot(1, tuple(pieces), {})


def anonymous(start: int, end: int, flags: int = RW, vma: int = 1) -> Area:
    return start, end, flags, 0, 0, vma


def of_file(
    start: int, end: int, page: int = 0, file: int = FILE, vma: int = 9
) -> Area:
    return start, end, R, file, page, vma


CASES = {
    "added": ([], [anonymous(1, 2)]),
    "removed": ([anonymous(1, 2)], []),
    "grown": ([anonymous(2, 4)], [anonymous(1, 4)]),
    "shrunk": ([anonymous(1, 4)], [anonymous(1, 3)]),
    "split": ([anonymous(1, 9)], [anonymous(1, 3), anonymous(4, 9, vma=2)]),
    "merged": ([anonymous(1, 3), anonymous(4, 9, vma=2)], [anonymous(1, 9)]),
    "protected": ([anonymous(1, 3)], [anonymous(1, 3, R)]),
    "flagged": ([anonymous(1, 3)], [anonymous(1, 3, RW | LOCKED)]),
    "rearranged": (
        [anonymous(1, 3), anonymous(3, 9, R, 2)],
        [anonymous(1, 5), anonymous(5, 9, R, 2)],
    ),
    "moved": ([of_file(1, 3)], [of_file(11, 13)]),
    "replaced, another page of the file": ([of_file(1, 2)], [of_file(1, 2, page=1)]),
    "replaced, another file": ([of_file(1, 2)], [of_file(1, 2, file=OTHER)]),
    "replaced, the start by a file": (
        [anonymous(8, 32)],
        [of_file(4, 18), anonymous(18, 32, vma=2)],
    ),
    "replaced, by a larger file": ([anonymous(1, 2)], [of_file(1, 18)]),
    "removed and added, an object used again": (
        [of_file(1, 3)],
        [anonymous(11, 13, vma=9)],
    ),
    "replaced, shared by private": (
        [(1, 9, R | SHARED, FILE, 0, 1)],
        [of_file(1, 3, vma=2), (3, 9, R | SHARED, FILE, 2, 1)],
    ),
    "nothing": ([anonymous(1, 2), of_file(5, 6)], [anonymous(1, 2), of_file(5, 6)]),
}
ANEW = {  # everything from page 4 to 8 was unmapped, and mapped again
    "replaced, by what is alike": ([anonymous(4, 8)], [anonymous(4, 8, vma=2)]),
    "replaced, merged with what is around": (
        [anonymous(1, 6), anonymous(8, 9, vma=2)],
        [anonymous(1, 9)],
    ),
    "grown, where nothing was": ([anonymous(1, 4)], [anonymous(1, 8)]),
    "removed, nothing came": ([anonymous(4, 8)], []),
    "nothing, beside it": ([anonymous(1, 4)], [anonymous(1, 4)]),
}
found = {}
for name, (before, after) in CASES.items():
    changed = changes(snapshot(*before), snapshot(*after))
    found[name] = [[change.kind, change_text(change)] for change in changed]
for name, (before, after) in ANEW.items():
    changed = changes(snapshot(*before), snapshot(*after), (4 * 4096, 8 * 4096))
    found[name] = [[change.kind, change_text(change)] for change in changed]
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(found, file)
