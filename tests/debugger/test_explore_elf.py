# SPDX-License-Identifier: GPL-2.0-only
"""`lab elf` compared with /proc/PID/{maps,auxv} and the program's file; also during exec."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any, Callable

import pytest
from elftools.elf.elffile import ELFFile

from support import labs, witnessed
from support.reports import parts
from support.witnessed import Moment

PROGRAMS = tuple(witnessed.LINKED)  # static, static-pie, dynamic, dynamic-pie
PAGE = 4096


@pytest.fixture(scope="session")
def moment(moments: Callable[..., Moment]) -> Moment:
    return moments()


def table(parts: list[Any], title: str) -> list[dict[str, Any]]:
    """Return the rows of the table with a title."""
    tables = [part for part in parts if isinstance(part, dict)]
    (found,) = [table for table in tables if table["title"] == title]
    assert found["broken"] == ""
    return found["rows"]


def maps(moment: Moment, pid: int) -> list[dict[str, Any]]:
    """Return the lines of /proc/PID/maps."""
    found = []
    for line in moment.proc(pid, "maps").splitlines():
        words = line.split(None, 5)
        start, end = (int(word, 16) for word in words[0].split("-"))
        name = words[5] if len(words) > 5 else ""
        row = {"start": start, "end": end, "perms": words[1], "name": name}
        found.append(row | {"offset": int(words[2], 16)})
    return found


def in_guest(moment: Moment, name: str) -> ELFFile:
    """Open the program's file as it is in the guest."""
    return ELFFile((moment.folder / "root" / "scenes" / name).open("rb"))


def load_bias(moment: Moment, name: str) -> int:
    """Compute the load bias from maps alone: where the program's first page is."""
    pid = moment.pid(name)
    lines = [row for row in maps(moment, pid) if row["name"] == f"/scenes/{name}"]
    first = next(in_guest(moment, name).iter_segments("PT_LOAD"))
    return lines[0]["start"] - first["p_vaddr"] // PAGE * PAGE


def offset_in_file(file: ELFFile, field: str) -> int:
    """Return the offset in the file of a field of its header."""
    (found,) = file.address_offsets(file[field])
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_headers(moment: Moment, name: str) -> None:
    parts = moment.lab(f"elf {moment.pid(name)}")
    file, bias = in_guest(moment, name), load_bias(moment, name)
    assert parts[0].startswith(f"/scenes/{name}, ")
    header = {row["field"]: row["value"] for row in table(parts, "ELF header")}
    for field in ("e_entry", "e_phoff", "e_shoff", "e_phnum", "e_shnum"):
        assert header[field] == file[field]
    rows = table(parts, "program headers")
    for row, segment in zip(rows, file.iter_segments(), strict=True):
        kind = segment["p_type"]
        assert kind == f"PT_{row['type']}"
        for field in ("offset", "vaddr", "filesz", "memsz", "align"):
            assert row[field] == segment[f"p_{field}"]
        flags = segment["p_flags"]
        letters = ((4, "r"), (2, "w"), (1, "x"))
        assert row["perms"] == "".join(c if flags & f else "-" for f, c in letters)
        if segment["p_memsz"]:
            assert row["loaded"] == segment["p_vaddr"] + bias


def test_auxiliary_vectors(moment: Moment) -> None:
    count = 0
    for pid in moment.users():
        vector = moment.snapshot[f"/proc/{pid}/auxv"]
        if not vector:
            continue
        rows = table(moment.lab(f"elf {pid}"), "auxiliary vector")
        mine = b"".join(struct.pack("<2Q", row["type"], row["value"]) for row in rows)
        assert mine == vector, pid
        count += 1
    assert count > 30


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_auxiliary_entries_point_to(moment: Moment, name: str) -> None:
    parts = moment.lab(f"elf {moment.pid(name)}")
    text = {row["entry"]: row["text"] for row in table(parts, "auxiliary vector")}
    assert text["AT_EXECFN"] == f'"/scenes/{name}"'
    assert text["AT_PLATFORM"] == '"x86_64"'
    assert len(bytes.fromhex(text["AT_RANDOM"])) == 16
    assert text["AT_SYSINFO_EHDR"].startswith("[vdso]")
    entry = offset_in_file(in_guest(moment, name), "e_entry")
    assert text["AT_ENTRY"] == f"/scenes/{name}+{entry:#x}"
    sentences = [
        part for part in parts if isinstance(part, str) and "interpreter" in part
    ]
    lines = maps(moment, moment.pid(name))
    base = [row["start"] for row in lines if "ld-linux" in row["name"]][:1]
    assert ["ld-linux-x86-64.so.2" in part for part in sentences] == [True] * len(base)
    assert all(f"at {start:#x}" in sentences[0] for start in base)
    assert bool(base) == name.startswith("dynamic")


@pytest.mark.parametrize("name", PROGRAMS)
def test_areas_of_each_segment(moment: Moment, name: str) -> None:
    pid, bias = moment.pid(name), load_bias(moment, name)
    lines = maps(moment, pid)
    file = in_guest(moment, name)
    headers = list(file.iter_segments())
    rows = table(moment.lab(f"elf {pid}"), "what each LOAD became")
    for number, segment in enumerate(headers):
        if segment["p_type"] != "PT_LOAD":
            continue
        mine = [row for row in rows if row["load"] == number]
        start = (segment["p_vaddr"] + bias) // PAGE * PAGE
        end = segment["p_vaddr"] + bias + segment["p_memsz"]
        # All areas between its first and last page, according to maps
        wanted = [line for line in lines if line["end"] > start and line["start"] < end]
        names = ("start", "end", "perms", "offset", "name")
        assert [{n: row[n] for n in names} for row in mine] == wanted
        for row in mine:
            is_same = row["start"] == segment["p_vaddr"] + bias
            is_same &= row["end"] == segment["p_vaddr"] + bias + segment["p_filesz"]
            flags = segment["p_flags"]
            is_same &= row["perms"][1] == ("w" if flags & 2 else "-")
            assert bool(row["why"]) != is_same, row
    reasons = " ".join(row["why"] for row in rows)
    for reason in ("whole pages are mapped", "bss: zeros", "GNU_RELRO", "earlier"):
        assert reason in reasons
    assert "mprotect() since" not in reasons
    # It names every area of the program's file, and no other
    own = [row["start"] for row in lines if row["name"] == f"/scenes/{name}"]
    assert own == [row["start"] for row in rows if row["name"]]


def test_a_segment_whose_rights_were_changed(moment: Moment) -> None:
    """A program stopped right at its exec has not relocated itself yet."""
    pid = moment.pid("exec", "exec")
    rows = table(moment.lab(f"elf {pid}"), "what each LOAD became")
    assert "GNU_RELRO" not in " ".join(row["why"] for row in rows)
    assert [row["perms"] for row in rows][-2:] == ["rw-p", "rw-p"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_sections(moment: Moment, name: str) -> None:
    pid, bias = moment.pid(name), load_bias(moment, name)
    here = table(moment.lab(f"elf {pid}"), "sections in memory")
    wanted = [
        (section.name, section["sh_addr"] + bias, section["sh_size"])
        for section in in_guest(moment, name).iter_sections()
        if section["sh_flags"] & 2 and section["sh_size"]
    ]
    assert [(row["section"], row["loaded"], row["size"]) for row in here] == wanted
    # The same program on the host, with debug info
    given = f"elf {pid} {moment.programs / name}"
    assert table(moment.lab(given), "sections in memory") == here


def test_refusals(moment: Moment) -> None:
    pid = moment.pid("static")
    other = moment.programs / "dynamic"
    assert "is another program" in moment.refused(f"lab elf {pid} {other}")
    assert "is another program" in moment.refused(f"lab elf {pid} /etc/passwd")
    assert "No such file" in moment.refused(f"lab elf {pid} /no/such/file")
    pipe = moment.folder / "pipe"
    os.mkfifo(pipe)
    for command in ("elf", "ustack"):
        for name in ("/dev/zero", "/etc", pipe):
            refusal = moment.refused(f"lab {command} {pid} {name}")
            assert "it is no regular file" in refusal and len(refusal.splitlines()) == 1
    assert "it is no ELF file" in moment.refused(f"lab ustack {pid} /etc/passwd")
    assert "is a kernel thread" in moment.refused("lab elf 2")
    zombie = moment.pid("family", "zombie")
    assert "has ended" in moment.refused(f"lab elf {zombie}")
    assert "no task 99999" in moment.refused("lab elf 99999")


# --- During an exec -------------------------------------------------------------

PLACES = ("load_elf_binary", "begin_new_exec", "exec_mmap", "setup_arg_pages")
PLACES += ("elf_map", "set_brk", "create_elf_tables", "finalize_exec", "start_thread")
COMMANDS = ("current", "ps", "threads", "tree", "task", "mm", "vmas", "list", "rb")
COMMANDS += ("maple", "map", "elf", "files", "kstack", "ustack", "regs", "kernel")
COMMANDS += ("vma $lab_mm()->start_stack", "walk $lab_mm()->start_stack")


def test_every_command_in_the_middle_of_an_exec(port: int, tmp_path: Path) -> None:
    program = witnessed.compiled("exec", tmp_path)
    found = labs.inside(
        "midexec.py",
        port,
        tmp_path,
        {"functions": PLACES, "commands": COMMANDS},
        ("source gdb/seginfo.py", "seginfo disarm"),
        PROGRAM=program,
        ARGS="loop",
    )
    assert {"load_elf_binary", "setup_arg_pages", "finalize_exec"} <= set(found)
    for place, stop in found.items():
        for command, answer in stop["commands"].items():
            error = answer.get("error", "")
            assert "Python" not in error and "Traceback" not in error, (place, error)
            assert len(error.strip().splitlines()) <= 1, (place, command, error)
        areas = parts(stop["commands"]["vmas"]["output"])[0]
        assert areas["broken"] == "", place
        names = [row["name"] for row in areas["rows"] if row["name"] != "[vsyscall]"]
        assert len(names) == stop["map_count"], place
        if place == "setup_arg_pages":  # a new address space with nothing but the stack
            assert len(names) == 1
            elf = parts(stop["commands"]["elf"]["output"])
            vector = elf[-2] if isinstance(elf[-2], dict) else elf[-1]
            assert "middle of an exec" in json.dumps(vector)
        if place == "finalize_exec":
            assert "/lab/program" in names and "[stack]" in names
