# SPDX-License-Identifier: GPL-2.0-only
"""What page frames are used for, compared with a module that has allocated some."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from support import guest_modules, labs

PLAIN = ((5, "block 5 0"), (1, "block 1 0"), (8, "block 8 0"))
COMPOUND = ((5, "block 5 1"), (3, "block 3 1"))


@pytest.fixture(scope="module")
def found(
    module: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The result of in_gdb/frames.py. One processor, so that no other is just allocating."""
    folder, port = tmp_path_factory.mktemp("frames"), labs.free_port()
    program = guest_modules.carrier("oracle.c", folder, module("oracle"))
    console = labs.BUILD / "run" / str(port) / "console.log"
    settings = {"PROGRAM": program, "SMP": 1, "MEM": "128M"}
    result = labs.inside("frames.py", port, folder, str(console), **settings)
    assert len(result["blocks"]) == 7, labs.console_log(port)
    return result


def test_free_frames_are_those_the_kernel_counts(found: dict[str, Any]) -> None:
    assert found["free"] == found["counted"]
    assert found["free"]["in the buddy allocator"] > 5_000
    assert found["unknown"] == []


@pytest.mark.parametrize("order, name", PLAIN)
def test_block_that_is_not_compound(
    found: dict[str, Any], order: int, name: str
) -> None:
    """Nothing in it tells how large it is; that it is in use can be told."""
    _, first, *later, behind = found["blocks"][name]
    frame = first[0]
    assert first[1] is None and first[3] == frame
    assert f"a block of up to {1 << order}," in first[2]
    assert len(later) == (1 << order) - 1
    for page in later:
        assert page[1] is None and page[3] == frame, page
        assert page[2].startswith("in use by the kernel: on no free list, a later page")
        assert f"starts with frame {frame:#x}" in page[2]
    assert behind[3] != frame


@pytest.mark.parametrize("order, name", COMPOUND)
def test_compound_block(found: dict[str, Any], order: int, name: str) -> None:
    _, *pages, behind = found["blocks"][name]
    frame = pages[0][0]
    for page in pages:
        assert page[1:] == [order, "in use by the kernel", frame]
    assert behind[3] != frame


def test_single_pages(found: dict[str, Any]) -> None:
    """A block that was split is no longer a block, and its last page is free."""
    _, *pages, last = found["blocks"]["exact 0 0"]
    for page in pages:
        assert page[1:] == [0, "in use by the kernel", page[0]], page
    assert last[2].startswith("free, ") or last[3] == last[0]
    _, alone, _ = found["blocks"]["block 0 0"]
    assert alone[3] == alone[0] and alone[2].startswith("in use by the kernel")
