# SPDX-License-Identifier: GPL-2.0-only
"""Odd surroundings: names of folders, a person's settings, full disks.

The lab works, or says in one sentence what is wrong. It never executes what a name says.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from support import labs

pytestmark = pytest.mark.once

PASSED = "3 hits, 3 passed, 0 failed"
LAB = ("source gdb/seginfo.py", "seginfo run", "seginfo brief", "continue")


def mounted(
    command: str, *mounts: str, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run a shell command with something mounted, for it alone."""
    if os.geteuid():
        pytest.skip("only root may mount")
    script = " && ".join([*mounts, command])
    ended = labs.run("unshare", "--mount", "bash", "-c", script, **settings)
    assert "mount:" not in ended.stderr, ended.stderr
    return ended


def sentence(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the sentence that says what is wrong; nothing must look like success."""
    output = ended.stdout + ended.stderr
    assert ended.returncode != 0 and "Traceback" not in output, output
    [line] = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    return line


def clone(folder: Path) -> Path:
    """Make a clone of this lab, with what is built here and the selected kernel."""
    for part in ("scripts", "gdb", "initramfs", "kernel"):
        shutil.copytree(labs.ROOT / part, folder / part)
    shutil.copy(labs.ROOT / "VERSION", folder)
    (folder / "build").mkdir()
    for built in ("kernels", "kernel", "initramfs.cpio"):
        (folder / "build" / built).symlink_to((labs.BUILD / built).resolve())
    return folder


def script(name: str, *words: str, folder: Path = labs.ROOT) -> str:
    """Return the shell's words to run a script of the lab with gdb commands."""
    given = shlex.quote("".join(f"{word}\n" for word in words))
    return f"printf %s {given} | {shlex.quote(str(folder))}/scripts/{name}.sh"


# --- Names --------------------------------------------------------------------------


def test_a_clone_in_a_folder_with_an_odd_name(port: int, tmp_path: Path) -> None:
    """Commas are special to QEMU, colons between folders to gdb, spaces to the shell."""
    folder = clone(tmp_path / "a,b:c d'e")
    settings = {"PORT": port, "BUILD": folder / "build"}
    for name in ("boot", "verify"):
        ended = labs.run("bash", "-c", script(name, "demo", folder=folder), **settings)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert (folder / "build" / "run" / str(port) / "console.log").exists()
    words = (*LAB, "lx-version", "show auto-load safe-path")
    ended = labs.run("bash", "-c", script("debug", *words, folder=folder), **settings)
    output = ended.stdout + ended.stderr
    assert PASSED not in output and output.count("PASS  hit") == 3, output
    assert "auto-loading has been declined" not in output
    [path] = re.findall(r"safe to auto-load files is (.*)", output)
    assert "b" not in path.replace("debugdir", "").replace("auto-load", "")


def test_a_folder_for_temporary_files_with_an_odd_name(
    port: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is used in place of /dev/shm if that is not writable."""
    # tmp_path contains the test's name, and the path of a socket may have 107 bytes
    folder = tmp_path_factory.mktemp("t") / "a,b:c d'e"
    folder.mkdir()
    nowhere = "mount -t tmpfs -o ro none /dev/shm"
    settings = {"PORT": port, "TMPDIR": folder}
    ended = mounted(script("verify"), nowhere, **settings)
    assert ended.returncode == 0 and PASSED in ended.stdout, ended.stderr
    ended = mounted(script("debug", *LAB), nowhere, **settings)
    assert ended.stdout.count("PASS  hit") == 3, ended.stdout + ended.stderr
    assert f"{folder}/seginfo-lab-" in ended.stdout
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["JSON", "PROGRAM", "ARGS", "LIMIT", "RECORDING"])
def test_a_value_is_no_command(port: int, tmp_path: Path, name: str) -> None:
    """Neither gdb nor a shell executes it, whatever it contains."""
    was_here = tmp_path / "was-here"
    values = [
        f"x\nshell touch {was_here}\n",
        f"$(touch {was_here})",
        f"`touch {was_here}`",
    ]
    values += [f"x;touch {was_here};", f"x|shell touch {was_here}"]
    script = "scripts/replay.sh" if name == "RECORDING" else "scripts/verify.sh"
    for value in values:
        where = str(tmp_path / value) if name in ("JSON", "RECORDING") else value
        labs.run(script, PORT=port, **{name: where})
        assert not was_here.exists(), value


def test_make_gives_values_to_no_shell(tmp_path: Path) -> None:
    """A recipe that contained a value would execute it."""
    secret = "a; touch was-here"
    names = (
        "KERNEL",
        "PROGRAM",
        "ARGS",
        "ACCEL",
        "SMP",
        "MEM",
        "PORT",
        "JSON",
        "LIMIT",
    )
    for target in ("debug", "verify", "boot", "record", "replay", "test", "bench"):
        values = [f"{name}={secret}" for name in (*names, "RECORDING", "T", "V")]
        ended = labs.run("make", "-n", target, *values)
        assert ended.returncode == 0 and secret not in ended.stdout, ended.stdout


def test_a_name_of_more_lines_is_refused(tmp_path: Path) -> None:
    ended = labs.run("scripts/verify.sh", BUILD=tmp_path / "two\nlines")
    assert "control character" in sentence(ended)


# --- A person's settings ---------------------------------------------------------------

SETTINGS = """
set language pascal
set output-radix 16
set input-radix 16
set disassembly-flavor intel
set print address off
set print symbol-filename on
set auto-load off
"""


def test_settings_of_a_person_s_gdb(port: int, tmp_path: Path) -> None:
    """The lab's own expressions are always C's, whatever is set; and the settings stay."""
    (tmp_path / ".gdbinit").write_text(SETTINGS)
    commands = ["source gdb/seginfo.py", "seginfo brief", "continue", "lab ps"]
    commands += ["lab walk 0x401000", "lab vmas 1", "lab kstack", "lab current"]
    commands += ["print $lab_task(1)", "lab trace mmap", "show language"]
    commands += ["show input-radix", "show output-radix", "show print address"]
    ended = labs.run("bash", "-c", script("debug", *commands), PORT=port, HOME=tmp_path)
    output = ended.stdout + ended.stderr
    assert (
        "Error" not in output
        and "rror in expr" not in output
        and "Python" not in output
    )
    assert "Traceback" not in output and "No symbol" not in output, output
    assert (
        output.count("PASS  hit") == 3 and "every followed process has ended" in output
    )
    assert "0x401000  present" in output and "do_syscall_64" in output
    assert re.search(r"^ *0x400000 .*/init|/bin/busybox", output, re.M), output
    assert 'language is "pascal"' in output and "numbers is 16" in output
    assert "of values is 16" in output and "addresses is off" in output


@pytest.fixture
def broken_python(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH that has broken versions of what the lab imports."""
    for name in ("rich", "elftools", "json", "struct"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('broken on purpose')")
    return tmp_path


def test_a_broken_python(port: int, broken_python: Path) -> None:
    """In batch mode none of it is read; in a person's gdb the error names it."""
    for settings in ({"PYTHONPATH": broken_python}, {"PYTHONHOME": "/nowhere"}):
        ended = labs.run("scripts/verify.sh", PORT=port, **settings)
        assert ended.returncode == 0 and PASSED in ended.stdout, ended.stderr
        ended = labs.run("scripts/debug.sh", PORT=port, **settings)
        assert ended.returncode != 0 and "Traceback" not in ended.stderr, ended.stderr
        line = [line for line in ended.stderr.splitlines() if line[:7] == "error: "][-1]
        assert "gdb did not load the lab" in line and list(settings)[0] in line


# --- Disks -----------------------------------------------------------------------------

SMALL = "mount -t tmpfs -o size=64m none /dev/shm"  # as in a container


def test_no_room_for_the_guest_s_memory_in_dev_shm(port: int, tmp_path: Path) -> None:
    program = labs.script(
        tmp_path / "fills", "demo", "dd if=/dev/zero of=/tmp/x bs=1M count=100"
    )
    settings = {"PORT": port, "PROGRAM": program}
    memory = labs.BUILD / "run" / str(port) / "memory"
    ended = mounted(script("verify"), SMALL, **settings)
    assert ended.returncode == 0 and PASSED in ended.stdout, ended.stderr
    assert (
        f"/dev/shm has no room for a guest of 256M: its memory is the file {memory}/ram"
        in ended.stderr
    )
    ended = mounted(script("debug", *LAB), SMALL, **settings)
    assert ended.stdout.count("PASS  hit") == 3, ended.stdout + ended.stderr
    assert f"RAM file {memory}/ram" in ended.stdout
    assert not memory.exists()


def test_no_room_for_the_guest_s_memory_anywhere(port: int) -> None:
    run = labs.BUILD / "run"
    run.mkdir(exist_ok=True)
    small = f"mount -t tmpfs -o size=64m none {run}"
    for name in ("boot", "debug", "verify", "record"):
        line = sentence(mounted(script(name), SMALL, small, PORT=port))
        assert (
            "neither /dev/shm nor" in line
            and "has room for 2" in line
            and "MEM=" in line
        )


def test_running_labs_have_not_taken_all_of_their_memory_yet(port: int) -> None:
    """Two guests of 256M in 400 MB: the second one's memory goes to the disk."""
    other = labs.free_port()
    ended = mounted(
        f"mkfifo /dev/shm/end; (exec <>/dev/shm/end; PORT={other} {labs.ROOT}/scripts/debug.sh) >/dev/null 2>&1 & "
        f"while ! [[ -e /dev/shm/seginfo-lab-0-{other}/ram ]]; do sleep 0.1; done; "
        f"{script('verify')}; kill %1; wait",
        "mount -t tmpfs -o size=400m none /dev/shm",
        PORT=port,
    )
    assert PASSED in ended.stdout and "has no room for a guest of 256M" in ended.stderr


def test_no_room_for_the_console(port: int) -> None:
    run = labs.BUILD / "run"
    run.mkdir(exist_ok=True)
    full = f"mount -t tmpfs -o size=4k none {run} && mkdir {run}/{port}"
    filled = f"head -c 4096 /dev/zero >{run}/filled"
    line = sentence(mounted(script("verify"), full, filled, PORT=port))
    assert f"no room left in {run}/{port}" in line


def test_a_checkout_that_cannot_be_written_to(port: int, tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    settings = {"PORT": port, "BUILD": folder / "build"}
    logs = folder / "build" / "run" / str(port)
    logs.mkdir(parents=True)
    (logs / "qemu.log").write_text("what an earlier lab said\n")
    quoted = shlex.quote(str(folder))
    read_only = (
        f"mount --bind -o ro {quoted} {quoted} && mount -o remount,bind,ro {quoted}"
    )
    for name in ("verify", "debug", "boot"):
        line = sentence(mounted(script(name, folder=folder), read_only, **settings))
        assert f"{logs} cannot be written to" in line and "a clone of your own" in line


@pytest.mark.parametrize("name", ["verify", "debug", "boot"])
def test_output_that_cannot_be_written(port: int, name: str) -> None:
    command = script(name, "continue")
    ended = labs.run("bash", "-c", f"{command} >/dev/full", PORT=port)
    assert "could be written to standard output" in sentence(ended)


def test_output_and_errors_that_cannot_be_written(port: int) -> None:
    ended = labs.run("bash", "-c", "scripts/verify.sh >/dev/full 2>&1", PORT=port)
    assert ended.returncode != 0


def test_a_result_that_cannot_be_written(port: int) -> None:
    ended = labs.run("scripts/verify.sh", PORT=port, JSON="/dev/full")
    assert ended.returncode != 0 and "Cannot write /dev/full" in ended.stderr
