# SPDX-License-Identifier: GPL-2.0-only
"""initramfs/build.sh: what is in the image, its bytes, and what is refused."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from support import labs

pytestmark = pytest.mark.once

BUILD_SH = labs.ROOT / "initramfs" / "build.sh"
BUSYBOX = Path("/bin/busybox")
NOBODY = 65534

# --- A reader of the archive, independent of cpio, which wrote it ----------------


class Entry(NamedTuple):
    """A file in a cpio archive of format "newc"."""

    name: str
    mode: int
    owner: tuple[int, int]
    mtime: int
    inode: int
    device: tuple[int, int]
    data: bytes


def entries(archive: bytes) -> list[Entry]:
    """Return all files up to the trailer, in the archive's order."""
    found = []
    at = 0

    def aligned(position: int) -> int:
        return (position + 3) & ~3

    while True:
        assert archive[at : at + 6] == b"070701", f"no header at byte {at}"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        inode, mode, uid, gid, _, mtime, size, major, minor, _, _, length, _ = fields
        name = archive[at + 110 : at + 110 + length - 1].decode()
        start = aligned(at + 110 + length)
        if name == "TRAILER!!!":
            return found
        data = archive[start : start + size]
        device = (major, minor)
        found.append(Entry(name, mode, (uid, gid), mtime, inode, device, data))
        at = aligned(start + size)


def build(out: Path, *programs: Path, busybox: Path = BUSYBOX) -> bytes:
    """Build an image, which must succeed, and return its bytes."""
    done = labs.run(BUILD_SH, out, busybox, *programs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return out.read_bytes()


def refusal(*words: object) -> str:
    """Run build.sh, which must refuse, and return its error."""
    done = labs.run(BUILD_SH, *words)
    assert done.returncode != 0 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ") and lines[0].endswith(".")
    return lines[0]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static program."""
    folder = tmp_path_factory.mktemp("static")
    source = folder / "hello.c"
    source.write_text("int main(void) { return 0; }\n")
    return compiled(source, folder / "hello", "-static")


def compiled(source: Path, to: Path, *options: str) -> Path:
    done = labs.run("gcc", *options, "-o", to, source)
    assert done.returncode == 0, done.stderr
    return to


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small program, to be compiled in unsuitable ways."""
    file = tmp_path / "hello.c"
    file.write_text("int main(void) { return 0; }\n")
    return file


# --- What is in it --------------------------------------------------------------


def test_content(tmp_path: Path, program: Path) -> None:
    found = {e.name: e for e in entries(build(tmp_path / "i.cpio", program))}
    for name, mode in (
        ("init", 0o755),
        ("bin/busybox", 0o755),
        ("bin/hello", 0o755),
        ("lab/session", 0o755),
        ("lab/run", 0o644),
        ("etc/fstab", 0o644),
    ):
        assert found[name].mode == stat.S_IFREG | mode, name
    folders = {name for name, e in found.items() if stat.S_ISDIR(e.mode)}
    wanted = "bin dev etc lab mnt mnt/host_share proc sys tmp"
    assert folders == set(wanted.split())
    for name in folders - {"tmp"}:
        assert found[name].mode == stat.S_IFDIR | 0o755, name
    assert found["tmp"].mode == stat.S_IFDIR | 0o1777
    assert found["bin/hello"].data == program.read_bytes()
    assert found["bin/busybox"].data == BUSYBOX.read_bytes()
    assert found["init"].data == (BUILD_SH.parent / "init").read_bytes()


def test_all_of_busybox_is_linked(tmp_path: Path) -> None:
    found = {e.name: e for e in entries(build(tmp_path / "i.cpio"))}
    applets = set(labs.run(BUSYBOX, "--list").stdout.split()) - {"busybox"}
    links = {n for n, e in found.items() if stat.S_ISLNK(e.mode)}
    assert links == {f"bin/{applet}" for applet in applets}
    assert {"bin/sh", "bin/mount", "bin/reboot", "bin/cttyhack"} <= links
    assert {found[link].data for link in links} == {b"busybox"}


def test_nothing_in_it_tells_of_the_machine(tmp_path: Path, program: Path) -> None:
    found = entries(build(tmp_path / "i.cpio", program))
    assert {e.owner for e in found} == {(0, 0)}
    assert {e.mtime for e in found} == {0}
    assert len({e.device for e in found}) == 1
    names = [e.name.encode() for e in found]
    assert names == sorted(names)
    # A folder must come before its files, or the kernel cannot unpack them
    for entry in found:
        parent = os.path.dirname(entry.name)
        assert not parent or names.index(parent.encode()) < names.index(
            entry.name.encode()
        )


# --- Same input, same bytes -------------------------------------------------------


def test_the_same_bytes_whoever_builds_it_where_and_when(
    tmp_path: Path, program: Path
) -> None:
    first = build(tmp_path / "one.cpio", program)

    other = tmp_path / "another place" / "deeper"
    other.mkdir(parents=True)
    other.chmod(
        0o2775
    )  # setgid: files made in it inherit its group, folders this bit too
    copy = other / "hello"
    shutil.copyfile(program, copy)
    copy.chmod(0o700)
    os.utime(copy, (1, 1))
    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$0" "$@"', BUILD_SH, "two.cpio", BUSYBOX, copy],
        cwd=other,
        env={**labs.environment(), "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (other / "two.cpio").read_bytes() == first


@pytest.mark.skipif(os.getuid() != 0, reason="is not root anyway")
def test_the_same_bytes_without_root(tmp_path: Path, program: Path) -> None:
    first = build(tmp_path / "one.cpio", program)
    # Not below tmp_path, whose parents only root may enter
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(BUILD_SH.parent, folder / "initramfs")
        shutil.copy(program, folder / "hello")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        done = subprocess.run(
            ["initramfs/build.sh", "two.cpio", BUSYBOX, "hello"],
            cwd=folder,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert (folder / "two.cpio").stat().st_uid == NOBODY
        assert (folder / "two.cpio").read_bytes() == first


def test_other_input_other_bytes(tmp_path: Path, program: Path) -> None:
    assert build(tmp_path / "a", program) != build(tmp_path / "b")


# --- A program to append ----------------------------------------------------------


def test_a_program_alone(tmp_path: Path, program: Path) -> None:
    out = tmp_path / "p.cpio"
    done = labs.run(BUILD_SH, "--program", out, program)
    assert (done.returncode, done.stderr) == (0, "")
    found = entries(out.read_bytes())
    assert [e.name for e in found if not stat.S_ISDIR(e.mode)] == ["lab/program"]
    assert found[-1].mode == stat.S_IFREG | 0o755
    assert found[-1].data == program.read_bytes()


@pytest.mark.parametrize(
    "first", ["#!/bin/sh", "#! /bin/sh -e", "#!/bin/ash", "#!/bin/busybox sh"]
)
def test_a_script_alone(first: str, tmp_path: Path) -> None:
    script = tmp_path / "a script"
    script.write_text(f"{first}\necho hello\n")
    done = labs.run(BUILD_SH, "--program", tmp_path / "p.cpio", script)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_static_position_independent_program(tmp_path: Path, source: Path) -> None:
    pie = compiled(source, tmp_path / "pie", "-static-pie")
    assert build(tmp_path / "i.cpio", pie)


# --- Refusals -----------------------------------------------------------------------


def test_refuses_a_dynamic_program(tmp_path: Path, source: Path) -> None:
    dynamic = compiled(source, tmp_path / "dynamic")
    assert "needs shared libraries" in refusal("--program", tmp_path / "o", dynamic)
    assert "needs shared libraries" in refusal(tmp_path / "o", BUSYBOX, dynamic)
    assert "needs shared libraries" in refusal(tmp_path / "o", dynamic)


def test_refuses_a_library(tmp_path: Path, source: Path) -> None:
    library = compiled(source, tmp_path / "lib.so", "-shared")
    assert "is a shared library" in refusal("--program", tmp_path / "o", library)


def test_refuses_an_object_file(tmp_path: Path, source: Path) -> None:
    unlinked = compiled(source, tmp_path / "hello.o", "-c")
    assert "not a linked program" in refusal("--program", tmp_path / "o", unlinked)


def test_refuses_another_processor(tmp_path: Path, program: Path) -> None:
    arm = bytearray(program.read_bytes())
    arm[18:20] = (183).to_bytes(2, "little")  # e_machine: EM_AARCH64
    file = tmp_path / "arm"
    file.write_bytes(arm)
    assert "not for x86-64" in refusal("--program", tmp_path / "o", file)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x7fELF", b"\0" * 100])
def test_refuses_what_is_no_program(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(content)
    assert "neither an ELF program nor" in refusal("--program", tmp_path / "o", file)


@pytest.mark.parametrize("size", [100, 1000, 100_000])
def test_refuses_a_program_that_is_cut_off(
    size: int, tmp_path: Path, program: Path
) -> None:
    """The guest would run it as a script, or it would be killed there."""
    file = tmp_path / "f"
    file.write_bytes(program.read_bytes()[:size])
    assert "is cut off" in refusal("--program", tmp_path / "o", file)


@pytest.mark.parametrize("first", ["#!/bin/bash", "#!/usr/bin/env python3", "#!"])
def test_refuses_a_script_that_the_guest_cannot_run(first: str, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text(f"{first}\n")
    assert "make its first line #!/bin/sh" in refusal("--program", tmp_path / "o", file)


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    out = tmp_path / "o"
    assert "is not a file" in refusal("--program", out, tmp_path / "none")
    assert "is not a file" in refusal("--program", out, tmp_path)
    assert "is not a file" in refusal(out, tmp_path / "no busybox")
    assert "make its folder" in refusal(tmp_path / "none" / "o", BUSYBOX)


@pytest.mark.parametrize("words", [(), ("o",), ("--program", "o"), ("--program",)])
def test_refuses_too_few_names(words: tuple[str, ...]) -> None:
    assert "see --help" in refusal(*words)


def test_a_refusal_leaves_all_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "image"
    out.write_text("the old one")
    refusal(out, BUSYBOX, tmp_path / "none")
    assert out.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [out]


def test_success_leaves_nothing_but_the_image(tmp_path: Path) -> None:
    build(tmp_path / "image")
    assert [file.name for file in tmp_path.iterdir()] == ["image"]


def test_help() -> None:
    done = labs.run(BUILD_SH, "--help")
    assert done.returncode == 0 and "--program OUT FILE" in done.stdout
