# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the unit tests: a made-up guest for each kernel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "gdb"), str(Path(__file__).parent)]

import made_up  # noqa: E402 (found only now)


@pytest.hookimpl(tryfirst=True)  # before -m evaluates marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the unit tests once, whatever the kernel: they try each kernel's layout."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.once)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where made-up guests have their vmlinux: one folder for all takes less time."""
    return tmp_path_factory.mktemp("guests")


@pytest.fixture(params=sorted(made_up.LAYOUTS))
def guest(request: pytest.FixtureRequest, folder: Path) -> Iterator[made_up.Guest]:
    """A guest; the test runs once with the layout of each kernel."""
    made = made_up.Guest(made_up.layout(request.param), folder)
    yield made
    made_up.use(None)


@pytest.fixture
def old(folder: Path) -> Iterator[made_up.Guest]:
    """A guest whose areas are in a list and a red-black tree."""
    yield made_up.Guest(made_up.layout("5.10.223"), folder)
    made_up.use(None)


@pytest.fixture
def new(folder: Path) -> Iterator[made_up.Guest]:
    """A guest whose areas are in a maple tree."""
    yield made_up.Guest(made_up.layout("6.1"), folder)
    made_up.use(None)


@pytest.fixture
def five(folder: Path) -> Iterator[made_up.Guest]:
    """A guest with five levels of page tables."""
    yield made_up.Guest(made_up.layout("6.1"), folder, levels=5)
    made_up.use(None)
