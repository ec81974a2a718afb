# SPDX-License-Identifier: GPL-2.0-only
"""struct list_head: intact rings and damaged ones."""

from __future__ import annotations

import pytest

from lab.linux import lists
from lab.linux.structs.lib import Module
from lab.target import structs
from lab.target.memory import Broken
from made_up import Guest

HEAD = "struct list_head"


def ring(guest: Guest, count: int) -> tuple[int, list[int]]:
    """Make a head and so many entries."""
    head, *entries = (guest.room(16) for _ in range(count + 1))
    guest.link(head, *entries)
    return head, entries


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_all_entries(guest: Guest, count: int) -> None:
    head, entries = ring(guest, count)
    assert list(lists.list_for_each(head)) == entries


def test_entries_by_their_member(guest: Guest) -> None:
    head = guest.room(16)
    modules = [guest.put("struct module") for _ in range(3)]
    inside = structs.offsetof("struct module", "list")
    guest.link(head, *(module + inside for module in modules))
    assert list(lists.list_for_each_entry(head, Module, "list")) == modules


def test_a_head_that_is_nowhere(guest: Guest) -> None:
    with pytest.raises(Broken, match="has no head"):
        list(lists.list_for_each(0xDEAD_0000))


def test_a_cycle_that_misses_the_head(guest: Guest) -> None:
    head, entries = ring(guest, 3)
    guest.set(HEAD, entries[2], "next", entries[1])
    with pytest.raises(Broken, match="is a cycle"):
        list(lists.list_for_each(head))


def test_an_entry_that_cannot_be_read(guest: Guest) -> None:
    head, entries = ring(guest, 3)
    guest.set(HEAD, entries[1], "next", 0xDEAD_BEEF_0000_0000)
    seen = []
    with pytest.raises(Broken, match="is cut"):
        for entry in lists.list_for_each(head):
            seen.append(entry)
    assert seen == entries[:2]


def test_prev_that_leads_elsewhere(guest: Guest) -> None:
    head, entries = ring(guest, 3)
    guest.set(HEAD, entries[2], "prev", entries[0])
    with pytest.raises(Broken, match="is torn"):
        list(lists.list_for_each(head))
