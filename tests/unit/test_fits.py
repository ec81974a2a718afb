# SPDX-License-Identifier: GPL-2.0-only
"""Whether vmlinux and the kernel in memory belong together."""

from __future__ import annotations

from typing import Any

import pytest

from lab.target import debugger, fits, kernel
from lab.target.debugger import Refused
from lab.target.files_debugger import FilesDebugger
from lab.target.memory import Fault
from made_up import BANNER, Guest

KERNEL = {"cs": 0x10, "rip": 0xFFFF_FFFF_8100_0000}
USER = {"cs": 0x33, "rip": 0x40_1000}
FIRMWARE = {"cs": 0xF000, "rip": 0xFFF0}


class Isolated(FilesDebugger):
    """A guest whose stopped CPU cannot read the kernel's memory."""

    def read_memory(self, address: int, size: int) -> bytes:
        raise Fault(address, "not mapped")


@pytest.fixture(autouse=True)
def only_the_banner(monkeypatch: Any) -> None:
    """The made-up vmlinux has no notes to compare."""
    monkeypatch.setattr(fits, "_check_build", lambda: None)


def stop(guest: Guest, kind: type[FilesDebugger], state: dict[str, int]) -> None:
    """Stop the guest in this state, and forget what is known about it."""
    vmlinux = debugger.debugger().vmlinux
    kernel.forget()
    debugger.use(kind(vmlinux, guest.layout, guest.image, (state,)))


@pytest.mark.parametrize("state", [KERNEL, USER])
def test_the_right_one(guest: Guest, state: dict[str, int]) -> None:
    stop(guest, FilesDebugger, state)
    assert fits.check_running()


def test_another_one(guest: Guest) -> None:
    place = guest.layout.address_of("linux_banner")
    guest.write(place, BANNER.replace(b"version ", b"version 9"))
    stop(guest, FilesDebugger, KERNEL)
    with pytest.raises(Refused, match="not the kernel that runs"):
        fits.check_running()


def test_one_that_page_table_isolation_hides(guest: Guest) -> None:
    """Page-table isolation hides it from a CPU in user mode, but not from the RAM file."""
    stop(guest, Isolated, USER)
    assert fits.check_running()


def test_one_that_is_hidden_and_not_found(guest: Guest) -> None:
    guest.write(guest.layout.address_of("linux_banner"), bytes(len(BANNER)))
    stop(guest, Isolated, USER)
    with pytest.raises(Refused, match="page-table isolation hides"):
        fits.check_running()


def test_none_yet(guest: Guest) -> None:
    stop(guest, Isolated, FIRMWARE)
    assert not fits.check_running()
