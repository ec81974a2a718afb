# SPDX-License-Identifier: GPL-2.0-only
"""`source gdb/seginfo.py` in a gdb and a QEMU that were started by hand.

Where it cannot work, it says so in one sentence. Without a RAM file it reads through the
stub, says that once, and finds the same.
"""

from __future__ import annotations

import json
import mmap
import re
import shutil
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from support import labs

SOURCE = "source gdb/seginfo.py"
PC = ("-machine", "pc")


def refused(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the sentence with which the check refuses; it must not be armed."""
    output = ended.stdout + ended.stderr
    assert "Traceback" not in output and "armed" not in output, output
    sentences = re.findall(r"^seginfo: (.*)$", output, re.M)
    assert len(sentences) == 1 and sentences[0].endswith("."), output
    return sentences[0]


@pytest.mark.once
@pytest.mark.parametrize("program", [None, "/bin/busybox"])
def test_no_kernel_symbols(program: str | None) -> None:
    assert "No kernel symbols" in refused(labs.gdb(SOURCE, program=program))


@pytest.mark.once
def test_a_script_that_sources_it(tmp_path: Path) -> None:
    """gdb then leaves __file__ what it was: the path of that script."""
    script = tmp_path / "mine.py"
    script.write_text(f"import gdb\ngdb.execute({SOURCE!r})\n")
    assert "No kernel symbols" in refused(labs.gdb(f"source {script}"))


@pytest.mark.once
@pytest.mark.parametrize("damaged", [False, True])
def test_what_is_beside_it_is_not_whole(tmp_path: Path, damaged: bool) -> None:
    alone = tmp_path / "seginfo.py"
    shutil.copyfile(labs.ROOT / "gdb/seginfo.py", alone)
    if damaged:
        (tmp_path / "lab").mkdir()
        (tmp_path / "lab" / "__init__.py").write_text("this is no Python\n")
    assert "from a whole clone" in refused(labs.gdb(f"source {alone}"))


@pytest.mark.once
def test_no_connection(vmlinux: Path) -> None:
    refusal = refused(labs.gdb(SOURCE, program=vmlinux))
    assert "No kernel is connected" in refusal and "make debug" in refusal


@pytest.mark.once
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "no debug info"),
        (["-g"], "no segment_info system call"),
        (
            ["-g", "-DCALL", "-DRANDOMISED"],
            "by it comm is at byte 16 of init_task, but it is at 8.",
        ),
        (
            ["-g", "-DCALL"],
            "No kernel is connected",
        ),  # nothing else is wrong with this one
    ],
)
def test_kernels_that_do_not_fit(tmp_path: Path, options: list[str], says: str) -> None:
    flags = ["-g0", *options]  # the last one counts
    program = labs.compile_c("kernelish.c", tmp_path, *flags)
    assert says in refused(labs.gdb(SOURCE, program=program))


@pytest.fixture(scope="module")
def other_vmlinux(
    vmlinux: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A vmlinux that differs from the selected kernel's only in its version."""
    copy = tmp_path_factory.mktemp("other") / "vmlinux"
    shutil.copyfile(vmlinux, copy)
    with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        found = [
            match.start(1) for match in re.finditer(rb"Linux version ([0-9])", data)
        ]
        assert found
        for place in found:
            data[place : place + 1] = b"9"
    yield copy
    copy.unlink()


@pytest.mark.once
def test_vmlinux_of_another_kernel(
    port: int, kernel: Path, other_vmlinux: Path
) -> None:
    words = "nokaslr lab.then=shell"
    with labs.qemu(port, kernel / "vmlinux.pvh", words, paused=False) as log:
        assert labs.wait_until(lambda: "lab: type" in log.read_text(errors="replace"))
        ended = labs.gdb(
            f"target remote {labs.gdb_socket(port)}", SOURCE, program=other_vmlinux
        )
        booted = re.search(r"Linux (\S+) booted", log.read_text(errors="replace"))
    refusal = refused(ended)
    assert "vmlinux is not the kernel that runs" in refusal and booted
    assert f"in memory is {booted[1]} " in refusal
    assert f"the symbols are of 9{booted[1][1:]} " in refusal


@pytest.mark.once
def test_vmlinux_of_another_kernel_before_the_boot(
    port: int, kernel: Path, other_vmlinux: Path
) -> None:
    """At reset there is no kernel yet to compare with: at the first call there is."""
    words = "nokaslr lab.run=demo lab.then=reboot"
    with labs.qemu(port, kernel / "vmlinux.pvh", words):
        ended = labs.gdb(
            f"target remote {labs.gdb_socket(port)}",
            SOURCE,
            "continue",
            "seginfo",
            program=other_vmlinux,
        )
    assert "seginfo: vmlinux is not the kernel that runs" in ended.stderr
    assert "Traceback" not in ended.stderr and "hit 1" not in ended.stdout
    assert "0 hits" in ended.stdout


def test_kaslr(port: int, vmlinux: Path, bzimage: Path) -> None:
    """All commands are refused but one: lab random tells where the kernel is."""
    found = "-hw,-e,_text,-e,Kernel.code,/proc/kallsyms,/proc/iomem"
    words = f"lab.run=grep lab.args={found} lab.then=shell"
    connect = f"target remote {labs.gdb_socket(port)}"
    shown = ("lab random --json", "lab random", "lab random 1", "lab ps")
    for _ in range(5):  # it may happen not to move
        with labs.qemu(port, bzimage, words, *PC, paused=False) as log:
            assert labs.wait_until(
                lambda: "lab: type" in log.read_text(errors="replace")
            )
            ended = labs.gdb(connect, SOURCE, *shown, program=vmlinux)
            console = log.read_text(errors="replace")
        if "armed" not in ended.stdout:
            break
    moved = re.search(r"KASLR is on: the kernel runs (\d+) MiB above", ended.stderr)
    assert moved and int(moved[1]) in range(2, 1024, 2) and "nokaslr" in ended.stderr
    assert ended.stderr.count("KASLR is on") == 3, ended.stderr  # source, PID, lab ps
    assert "Traceback" not in ended.stderr

    text = re.search(r"^([0-9a-f]{16}) T _text\r?$", console, re.M)
    start = ended.stdout.index("{\n")
    report, _ = json.JSONDecoder().raw_decode(ended.stdout, start)
    rows = {row["what"]: row for row in report["kernel"]["rows"]}
    image = rows["kernel image"]
    assert text and image["here"] == int(text[1], 16)
    assert image["away"] == int(moved[1]) << 20 and image["bits"] == image["could_be"]
    code = re.search(r"^ +([0-9a-f]+)-\S+ : Kernel code\r?$", console, re.M)
    assert code and rows["the image in RAM"]["here"] == int(code[1], 16)
    slot = re.match(r"slot (\d+) of (\d+)$", image["how"])
    assert slot and int(slot[1]) * image["step"] == image["away"]
    assert int(slot[1]) < int(slot[2]) and report["places"] is None
    for name in ("direct map", "vmalloc", "vmemmap"):
        row = rows[name]
        assert row["away"] and row["away"] % (1 << 30) == 0 and float(row["bits"]) > 10
    assert rows["direct map"]["here"] < rows["vmalloc"]["here"]
    assert rows["vmalloc"]["here"] < rows["vmemmap"]["here"] < 0xFFFF_FE00_0000_0000
    assert rows["modules"]["bits"] == "10"
    switches = {row["switch"]: row for row in report["switches"]["rows"]}
    assert switches["command line: nokaslr"]["value"] == "not given"
    assert switches["CONFIG_RANDOMIZE_BASE"]["value"] == "y"
    assert switches["randomize_va_space"]["value"] == "2"


@pytest.mark.once
def test_kaslr_before_the_boot(port: int, vmlinux: Path, bzimage: Path) -> None:
    """Armed at reset, when nobody can know where this kernel will be."""
    words = "lab.run=demo lab.then=reboot"
    with labs.qemu(port, bzimage, words, *PC) as log:
        ended = labs.gdb(
            f"target remote {labs.gdb_socket(port)}",
            SOURCE,
            "continue",
            "seginfo",
            program=vmlinux,
        )
        console = log.read_text(errors="replace")
    output = ended.stdout + ended.stderr
    assert "Traceback" not in output and "FAIL" not in output
    # If other code is at that address, this is noticed and the guest is stopped
    assert "exited with 0" in console or "KASLR is on" in output, output
    # It may also happen not to move
    assert re.search(
        r"KASLR is on|^seginfo: (0 hits|3 hits, 3 passed)", output, re.M
    ), output


def all_pass_through_the_stub(ended: subprocess.CompletedProcess[str]) -> None:
    """Check for three hits that pass, and one remark on how memory was read."""
    output = ended.stdout + ended.stderr
    assert output.count("through the debug stub") == 1, output
    shown = re.findall(r"^PASS  hit (\d)", output, re.M)
    assert shown == ["1", "2", "3", "3"], output  # the last one again
    assert "3 hits, 3 passed, 0 failed" in output and "Traceback" not in output


COMMANDS = ("seginfo run", "seginfo brief", "continue", "seginfo")
DEMO = "nokaslr lab.run=demo lab.then=reboot"


@pytest.mark.once
@pytest.mark.parametrize("machine", ["microvm,acpi=off", "pc"])
def test_a_qemu_without_a_ram_file(
    port: int, kernel: Path, vmlinux: Path, tmp_path: Path, machine: str
) -> None:
    with labs.qemu(port, kernel / "vmlinux.pvh", DEMO, "-machine", machine):
        ended = labs.gdb(
            f"cd {tmp_path}",
            f"target remote {labs.gdb_socket(port)}",
            f"source {labs.ROOT}/gdb/seginfo.py",
            *COMMANDS,
            program=vmlinux,
        )
    all_pass_through_the_stub(ended)


def test_a_compressed_kernel(port: int, vmlinux: Path, bzimage: Path) -> None:
    with labs.qemu(port, bzimage, DEMO, *PC):
        ended = labs.gdb(
            f"target remote {labs.gdb_socket(port)}", SOURCE, *COMMANDS, program=vmlinux
        )
    all_pass_through_the_stub(ended)


@pytest.mark.once
def test_connected_when_the_kernel_already_runs(
    port: int, kernel: Path, vmlinux: Path, bzimage: Path
) -> None:
    """A person attaches to a lab that booted long ago."""
    words = "nokaslr lab.run=storm lab.args=1,1,100000 lab.then=reboot"
    with labs.qemu(port, kernel / "vmlinux.pvh", words, paused=False) as log:
        assert labs.wait_until(lambda: "booted in" in log.read_text(errors="replace"))
        ended = labs.gdb(
            f"target remote {labs.gdb_socket(port)}",
            SOURCE,
            "continue",
            "continue",
            "seginfo",
            program=vmlinux,
        )
    output = ended.stdout + ended.stderr
    assert "2 hits, 2 passed, 0 failed" in output and "Traceback" not in output
