# SPDX-License-Identifier: GPL-2.0-only
"""`lab dump`: an ELF core of the guest. Its readers are in test_explore_oracles.py."""

from __future__ import annotations

import os
import re
import stat
import struct
from pathlib import Path
from typing import Callable

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from support import labs, other_readers
from support.reports import parts
from support.witnessed import Moment

MIB = 1 << 20
STEP = MIB
PR_REG = 112  # offset of the registers in struct elf_prstatus
REGISTERS = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs"
REGISTERS += " eflags rsp ss fs_base gs_base ds es fs gs"


@pytest.fixture(scope="session")
def moment(moments: Callable[..., Moment]) -> Moment:
    return moments()


@pytest.fixture(scope="session")
def core(moment: Moment) -> Path:
    file = moment.folder / "a core.elf"
    moment.gdb(f"lab dump '{file}'")
    return file


def loads(file: ELFFile) -> list:
    return list(file.iter_segments("PT_LOAD"))


def notes(file: ELFFile) -> list[tuple[str, int, bytes]]:
    """Decode name, type and contents of all notes by hand."""
    (segment,) = file.iter_segments("PT_NOTE")
    assert isinstance(segment, NoteSegment)
    data, at, found = segment.data(), 0, []
    while at < len(data):
        name_size, size, kind = struct.unpack_from("<3I", data, at)
        at += 12
        name = data[at : at + name_size].rstrip(b"\0").decode()
        at += (name_size + 3) & -4
        found.append((name, kind, data[at : at + size]))
        at += (size + 3) & -4
    return found


def test_headers_and_notes(moment: Moment, core: Path) -> None:
    with core.open("rb") as raw:
        file = ELFFile(raw)
        assert (file["e_type"], file["e_machine"]) == ("ET_CORE", "EM_X86_64")
        segments = loads(file)
        image, ram = segments[0], segments[1:]
        start = int(moment.gdb("print/d (long)&_text").split("= ")[1]) % (1 << 64)
        assert image["p_vaddr"] == start
        assert sum(segment["p_filesz"] for segment in ram) > 254 * MIB
        base = int(moment.gdb("print/d (long)page_offset_base").split("= ")[1])
        for segment in ram:
            assert segment["p_vaddr"] - segment["p_paddr"] == base % (1 << 64)
        kinds = [(name, kind) for name, kind, _ in notes(file)]
        assert kinds == [("CORE", 1), ("CORE", 1), ("VMCOREINFO", 0)]
        info = notes(file)[-1][2].decode()
    lines = dict(line.split("=", 1) for line in info.splitlines())
    release = moment.snapshot["/proc/version"].decode().split()[2]
    assert lines["OSRELEASE"] == release
    assert (lines["PAGESIZE"], lines["KERNELOFFSET"]) == ("4096", "0")
    symbols = dict(
        (name, address)
        for address, _, name in (
            line.split()[:3]
            for line in moment.snapshot["/proc/kallsyms"].decode().splitlines()
        )
    )
    for name in ("_stext", "init_uts_ns", "init_top_pgt"):
        assert int(lines[f"SYMBOL({name})"], 16) == int(symbols[name], 16)
    assert lines["SYMBOL(swapper_pg_dir)"] == lines["SYMBOL(init_top_pgt)"]


def test_registers_of_each_processor(moment: Moment, core: Path) -> None:
    with core.open("rb") as raw:
        statuses = [data for name, _, data in notes(ELFFile(raw)) if name == "CORE"]
    assert len(statuses) == 2
    here = re.search(r"\* (\d+) ", moment.gdb("info threads"))
    for number, status in enumerate(statuses, 1):
        saved = dict(zip(REGISTERS.split(), struct.unpack_from("<27Q", status, PR_REG)))
        moment.gdb(f"thread {number}")
        for name in (
            "rip",
            "rsp",
            "rbp",
            "rax",
            "r15",
            "eflags",
            "cs",
            "ss",
            "gs_base",
        ):
            value = moment.gdb(f"print/x ${name}").split("= ")[1]
            assert saved[name] == int(value, 16), name
    assert here
    moment.gdb(f"thread {here[1]}")
    pids = [struct.unpack_from("<i", status, 32)[0] for status in statuses]
    on_processors = [row["pid"] for row in moment.table("current")]
    assert pids == on_processors and moment.witness in pids


def test_every_byte_as_in_qemus_own_dump(moment: Moment, core: Path) -> None:
    other = moment.folder / "qemu.core"
    moment.gdb(f"monitor dump-guest-memory {other}")
    compared = 0
    with core.open("rb") as mine, other.open("rb") as theirs:
        for segment in loads(ELFFile(mine)):
            for address in range(
                segment["p_paddr"], segment["p_paddr"] + segment["p_filesz"], STEP
            ):
                size = min(STEP, segment["p_paddr"] + segment["p_filesz"] - address)
                at = segment["p_offset"] + address - segment["p_paddr"]
                assert bytes_at(mine, at, size) == physical(theirs, address, size)
                compared += size
    assert compared > 255 * MIB
    other.unlink()


def bytes_at(file, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def physical(file, address: int, size: int) -> bytes:
    """Read guest-physical memory from QEMU's dump."""
    for segment in loads(ELFFile(file)):
        inside = address - segment["p_paddr"]
        if 0 <= inside and inside + size <= segment["p_filesz"]:
            return bytes_at(file, segment["p_offset"] + inside, size)
    raise AssertionError(f"QEMU's dump has nothing at {address:#x}")


def test_zeros_take_no_room(core: Path) -> None:
    status = core.stat()
    assert status.st_size > 255 * MIB
    assert status.st_blocks * 512 < status.st_size / 2


def test_refusals(moment: Moment) -> None:
    folder = moment.folder
    assert "is a folder" in moment.refused(f"lab dump {folder}")
    missing = folder / "nowhere" / "core"
    assert "No such file or directory" in moment.refused(f"lab dump {missing}")
    assert "Usage: lab dump FILE" in moment.refused("lab dump")
    assert "Usage: lab dump FILE" in moment.refused("lab dump a b")


def test_what_no_file_is_stays_as_it_is(moment: Moment, tmp_path: Path) -> None:
    pipe, link, core = (tmp_path / name for name in ("pipe", "link", "core"))
    os.mkfifo(pipe)
    link.symlink_to(core)
    assert "is a device or a pipe" in moment.refused(f"lab dump {pipe}")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    moment.gdb(f"lab dump {link}")
    assert link.is_symlink() and core.stat().st_size > 255 * MIB


def test_a_dump_that_fails_leaves_all_as_it_was(moment: Moment, tmp_path: Path) -> None:
    old = tmp_path / "core"
    old.write_text("what was here before")
    moment.gdb("python import resource, signal")
    moment.gdb("python signal.signal(signal.SIGXFSZ, signal.SIG_IGN)")
    moment.gdb("python old = resource.getrlimit(resource.RLIMIT_FSIZE)")
    moment.gdb(f"python resource.setrlimit(resource.RLIMIT_FSIZE, ({8 * MIB}, old[1]))")
    try:
        assert "File too large" in moment.refused(f"lab dump {old}")
    finally:
        moment.gdb("python resource.setrlimit(resource.RLIMIT_FSIZE, old)")
    assert old.read_text() == "what was here before"
    assert [file.name for file in tmp_path.iterdir()] == ["core"]
    moment.gdb(f"lab dump {old}")
    assert old.stat().st_size > 255 * MIB
    assert [file.name for file in tmp_path.iterdir()] == ["core"]


def dumped(
    port: int, image: Path, vmlinux: Path, folder: Path, *options: str
) -> tuple[Path, list[dict]]:
    """Dump a QEMU started by hand, and return the dump and what lab ps listed."""
    file, listed = folder / "core", folder / "ps.json"
    with labs.qemu(port, image, "nokaslr lab.run=demo", "-smp", "1", *options):
        ended = labs.gdb(
            f"target remote {labs.gdb_socket(port)}",
            "source gdb/seginfo.py",
            "continue",
            f"lab dump {file}",
            f"pipe lab ps --json | cat > {listed}",
            "kill",
            program=vmlinux,
        )
        assert file.exists(), ended.stdout + ended.stderr
    return file, parts(listed.read_text())[0]["rows"]


def check_with_drgn(file: Path, rows: list[dict], vmlinux: Path) -> None:
    """Check that drgn finds the processes of lab ps in a dump."""
    init = next(row["pid"] for row in rows if row["comm"] == "init")
    facts = other_readers.drgn(vmlinux, file, "facts.py", init)
    mine = {row["task"] for row in rows}
    tasks = [task for task in facts["tasks"] if task["pid"]]
    assert mine == {task["task"] for task in tasks if task["pid"] == task["tgid"]}
    assert "demo" in {row["comm"] for row in rows}
    assert facts["processes"][str(init)]["stack"]  # it is in vmalloc memory


@pytest.mark.once
def test_through_the_debug_stub(
    port: int, kernel: Path, vmlinux: Path, tmp_path: Path
) -> None:
    image = kernel / "vmlinux.pvh"
    file, rows = dumped(port, image, vmlinux, tmp_path, "-m", "64M")
    check_with_drgn(file, rows, vmlinux)


@pytest.mark.once
def test_five_levels_of_page_tables(
    port: int, bzimage: Path, vmlinux: Path, tmp_path: Path
) -> None:
    """A processor with LA57, which only a kernel in a bzImage turns on."""
    backend = f"memory-backend-file,id=ram,size=128M,mem-path={tmp_path}/ram,share=on"
    options = ("-m", "128M", "-object", backend, "-cpu", "max")
    options += ("-machine", "pc,memory-backend=ram")
    file, rows = dumped(port, bzimage, vmlinux, tmp_path, *options)
    with file.open("rb") as raw:
        info = notes(ELFFile(raw))[-1][2].decode()
    assert "NUMBER(pgtable_l5_enabled)=1\n" in info
    check_with_drgn(file, rows, vmlinux)
