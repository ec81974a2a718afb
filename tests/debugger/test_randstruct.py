# SPDX-License-Identifier: GPL-2.0-only
"""A kernel with its structures in random order: its debug info is wrong, and the lab says so.

The selected kernel built with RANDSTRUCT=1: the first test builds it if needed, which takes as
long as the kernel itself. Where members really are, tests/guest/modules/offsets.c knows: gcc
compiles it with the same plugin and the same seed.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import Iterator

import pytest
from elftools.elf.elffile import ELFFile

from support import boots, guest_modules, labs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ENTRY = struct.Struct("<56sQ")  # struct offset of offsets.c
Offsets = dict[str, int]  # in bytes, by "task_struct.comm"


@pytest.fixture(scope="module", autouse=True)
def randstruct() -> Iterator[None]:
    """Select the kernel with random structures for all that this module starts."""
    os.environ["RANDSTRUCT"] = "1"
    for script in ("setup.sh packages-randstruct.txt", "build-kernel.sh"):
        command = script.split()
        done = labs.run(f"scripts/{command[0]}", *command[1:], limit=3600)
        assert done.returncode == 0, done.stderr
    yield
    del os.environ["RANDSTRUCT"]


@pytest.fixture(scope="module")
def true(randstruct: None, tmp_path_factory: pytest.TempPathFactory) -> Offsets:
    """Where the members are."""
    ko = guest_modules.build("offsets", tmp_path_factory.mktemp("offsets"))
    data = contents(ko, "lab_offsets")
    return {
        name.rstrip(b"\0").decode(): offset for name, offset in ENTRY.iter_unpack(data)
    }


@pytest.fixture(scope="module")
def told(true: Offsets) -> Offsets:
    """Where the debug info says they are."""
    found = {}
    commands = []
    for name in true:
        kind, member = name.split(".")
        commands.append(f"print (unsigned long)&((struct {kind} *)0)->{member}")
    answer = labs.gdb(*commands, program=vmlinux())
    values = re.findall(r"^\$\d+ = (\d+)$", answer.stdout, re.M)
    for name, value in zip(true, values, strict=True):
        found[name] = int(value)
    return found


def vmlinux() -> Path:
    return labs.kernel_dir() / "obj" / "vmlinux"


def contents(file: Path, symbol: str) -> bytes:
    """The initial value of a variable, from an ELF file."""
    with file.open("rb") as opened:
        elf = ELFFile(opened)
        (entry,) = elf.get_section_by_name(".symtab").get_symbol_by_name(symbol)
        section = elf.get_section(entry["st_shndx"])
        start = entry["st_value"] - section["sh_addr"]
        return section.data()[start : start + entry["st_size"]]


def test_members_are_not_where_the_debug_info_says(
    true: Offsets, told: Offsets
) -> None:
    """gcc writes it before the plugin shuffles the members."""
    wrong = [name for name in true if true[name] != told[name]]
    print(*(f"{name}: {told[name]}, is {true[name]}" for name in true), sep="\n")
    # That a member stays where it was has a probability of some percent each
    assert len(wrong) > len(true) // 2
    # It has them in the order of the source
    assert told["mm_struct.start_code"] < told["mm_struct.brk"]
    assert told["vm_area_struct.vm_start"] == 0 and told["vm_area_struct.vm_end"] == 8


def test_the_kernel_has_them_where_the_compiler_put_them(true: Offsets) -> None:
    task, place = contents(vmlinux(), "init_task"), true["task_struct.comm"]
    assert task[place : place + 8] == b"swapper\0"


def test_gdb_is_misled(told: Offsets, true: Offsets) -> None:
    if told["task_struct.comm"] == true["task_struct.comm"]:
        pytest.skip("comm happens to be where it was")
    shown = labs.gdb("print init_task.comm", program=vmlinux()).stdout
    assert shown.startswith("$1 = ") and "swapper" not in shown


def test_the_lab_refuses_it(port: int, told: Offsets, true: Offsets) -> None:
    """In one sentence, with the two places of a member."""
    output = labs.debug(port, "source gdb/seginfo.py", "lab ps", "continue")
    assert "Traceback" not in output and "armed" not in output
    found = re.findall(
        r"The debug info does not fit this vmlinux: by it (\w+) is at byte (\d+) of "
        r"init_task(?:, but it is at (\d+)|, where it is not)\. Its structures were put "
        r"in random order",
        " ".join(output.split()),
    )
    assert len(found) == 2, output  # of source, and of lab ps
    for member, byte, place in found:
        assert int(byte) == told[f"task_struct.{member}"]
        assert not place or int(place) == true[f"task_struct.{member}"]


def test_the_kernel_works_all_the_same() -> None:
    """Only who looks from outside is lost: the system call's own tests pass."""
    output = boots.boot("selftest")
    assert boots.exit_status(output, "selftest") == 0, output
