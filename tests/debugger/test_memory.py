# SPDX-License-Identifier: GPL-2.0-only
"""gdb/lab/target/memory.py compared with QEMU, which knows the guest's memory best."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterator

import pytest

from support import labs

GIB = 1 << 30
MIB = 1 << 20


@pytest.fixture
def ram(port: int) -> Iterator[Path]:
    """A path for a RAM file; it is sparse, so only what is used takes room."""
    file = Path(f"/dev/shm/seginfo-test-{port}")
    yield file
    file.unlink(missing_ok=True)


def backed(ram: Path, size: str, machine: str = "pc", share: str = "on") -> list[str]:
    """Return options for a guest with a RAM file."""
    backend = f"memory-backend-file,id=ram,size={size},mem-path={ram},share={share}"
    return ["-m", size, "-machine", f"{machine},memory-backend=ram", "-object", backend]


@pytest.mark.once
def test_blocks_around_the_pci_hole(
    port: int, kernel: Path, vmlinux: Path, ram: Path, tmp_path: Path
) -> None:
    """Of 6 GiB the last three are above 4 GiB, and in the file after the first three."""
    places = {"low": 2 * MIB, "high": 3 * GIB + 0x5678}
    with labs.qemu(port, kernel / "vmlinux.pvh", "", *backed(ram, "6G")):
        with ram.open("r+b") as file:
            for name, offset in places.items():
                file.seek(offset)
                file.write(f"{name:>15}.".encode())
        result = labs.inside_by_hand("blocks.py", port, vmlinux, tmp_path, before=())
    assert result["name"] == f"RAM file {ram}"
    assert result["blocks"][0] == [0, 0xC0000, 0]
    assert result["blocks"][-2:] == [
        [MIB, 3 * GIB, MIB],
        [4 * GIB, 7 * GIB, 3 * GIB],
    ]
    for name in places:
        ours, monitors = result[name]
        assert ours == f"{name:>15}."
        assert (
            bytes.fromhex("".join(re.findall(r"0x(..)\b", monitors))) == ours.encode()
        )
    holes = result["holes"]
    assert holes.pop("VGA") == ""  # RAM is there until the firmware has run
    assert all(
        "no RAM at this physical address" in error for error in holes.values()
    ), holes
    assert result["fine"] == ""


@pytest.mark.once
def test_memory_that_is_no_shared_file_is_left_alone(
    port: int, kernel: Path, vmlinux: Path, ram: Path, tmp_path: Path
) -> None:
    memfd = [
        "-machine",
        "pc,memory-backend=ram",
        "-object",
        "memory-backend-memfd,id=ram,size=256M",
    ]
    folder = backed(ram.parent, "256M")  # a file in it, deleted at once
    for options in (memfd, backed(ram, "256M", share="off"), folder):
        with labs.qemu(port, kernel / "vmlinux.pvh", "", *options):
            found = labs.inside_by_hand("blocks.py", port, vmlinux, tmp_path, before=())
        assert found["name"] is None, options


def everything_agrees(result: Any) -> None:
    """RAM file, stub and QEMU's own translation agree."""
    assert result["fast"]
    assert result["differs"] == []
    assert result["borders"] == []
    assert result["unreadable"] == {}
    assert result["user pages"] > 10 and result["absent user pages"] > 10


def test_every_way_to_read_agrees_in_the_lab(port: int, tmp_path: Path) -> None:
    result = labs.inside("translate.py", port, tmp_path)
    everything_agrees(result)
    assert result["levels"] == 4
    assert result["kinds"]["4K"] > 0 and result["kinds"]["2M"] > 0


@pytest.mark.once
@pytest.mark.parametrize("levels", [4, 5])
def test_every_way_to_read_agrees_in_a_large_guest(
    port: int,
    kernel: Path,
    vmlinux: Path,
    ram: Path,
    tmp_path: Path,
    levels: int,
    request: pytest.FixtureRequest,
) -> None:
    """Pages of 1 GiB, page tables of five levels, RAM above the PCI hole."""
    image, cpu = kernel / "vmlinux.pvh", "max,la57=off"
    if levels == 5:  # the code that unpacks a compressed kernel chooses
        image, cpu = request.getfixturevalue("bzimage"), "max"
    words = "nokaslr lab.run=demo lab.then=reboot"
    with labs.qemu(port, image, words, "-cpu", cpu, *backed(ram, "6G")):
        result = labs.inside_by_hand("translate.py", port, vmlinux, tmp_path)
    everything_agrees(result)
    assert result["levels"] == levels
    assert all(result["kinds"][kind] > 0 for kind in ("4K", "2M", "1G"))
    assert result["above 4G"] > 0
