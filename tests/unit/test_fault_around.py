# SPDX-License-Identifier: GPL-2.0-only
"""How much is mapped along with a page of a file: fault_around_bytes in mm/memory.c."""

from __future__ import annotations

from pathlib import Path

import pytest

import made_up
from lab.trace.fault import look
from made_up import PAGE


@pytest.mark.parametrize("pages", [1, 2, 16, 512])
@pytest.mark.parametrize(
    ("symbol", "unit"), [("fault_around_bytes", 1), ("fault_around_pages", PAGE)]
)
def test_what_was_set(tmp_path: Path, symbol: str, unit: int, pages: int) -> None:
    """The unit is pages since v6.4 (53d36a56d8c4)."""
    found = made_up.layout("6.1")
    found.symbols[symbol] = found.symbols.pop("fault_around_bytes")
    guest = made_up.Guest(found, tmp_path)
    guest.variable(symbol, pages * PAGE // unit)
    assert look.fault_around_bytes() == pages * PAGE
    made_up.use(None)


def test_a_kernel_in_which_nothing_sets_it(tmp_path: Path) -> None:
    found = made_up.layout("6.1")
    del found.symbols["fault_around_bytes"]
    made_up.Guest(found, tmp_path)
    assert look.fault_around_bytes() == 16 * PAGE
    made_up.use(None)
