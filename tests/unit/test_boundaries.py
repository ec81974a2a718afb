# SPDX-License-Identifier: GPL-2.0-only
"""The boundaries of an address space, and the area that each is in."""

from __future__ import annotations

from areas import PAGE, Space, space

from lab.linux.boundaries import BOUNDARIES, Boundary, boundaries
from made_up import Guest


def found(made: Space) -> dict[str, Boundary]:
    """Return all boundaries of an address space by name."""
    return {boundary.name: boundary for boundary in boundaries(made.mm)}


def test_the_area_of_a_boundary(guest: Guest) -> None:
    """The first byte after something belongs to what ends there."""
    code, data = (PAGE, 2 * PAGE), (2 * PAGE, 4 * PAGE)
    ends = {"start_code": PAGE, "end_code": 2 * PAGE, "start_data": 2 * PAGE}
    made = space(guest, code, data, **ends, brk=4 * PAGE, start_brk=5 * PAGE)
    seen = found(made)
    for name, number in (
        ("start_code", 0),
        ("end_code", 0),
        ("start_data", 1),
        ("brk", 1),
    ):
        area = (code, data)[number]
        assert (seen[name].start, seen[name].end) == area, name
        assert seen[name].vma == made.areas[number]
    nowhere = seen["start_brk"]
    assert (nowhere.address, nowhere.vma, nowhere.start, nowhere.end) == (
        5 * PAGE,
        0,
        0,
        0,
    )
    assert seen["end_code"].is_end and not seen["start_code"].is_end
    assert seen["end_code"].meaning == "the program's code ends"


def test_all_of_them_from_low_to_high(guest: Guest) -> None:
    made = space(guest, brk=3, start_brk=2, env_end=9)
    seen = boundaries(made.mm)
    assert [boundary.address for boundary in seen] == sorted(b.address for b in seen)
    optional = (
        set() if guest.has("struct mm_struct", "highest_vm_end") else {"highest_vm_end"}
    )
    assert {boundary.name for boundary in seen} == set(BOUNDARIES) - optional
