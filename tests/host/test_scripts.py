# SPDX-License-Identifier: GPL-2.0-only
"""What all scripts have in common: a head that --help shows, a width, make's variables."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from support import labs

pytestmark = pytest.mark.once

FILES = subprocess.run(
    # those of user/ run in the guest
    ["git", "ls-files", "*.sh", ".ci/run", ":!user"],
    cwd=labs.ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.split()
SCRIPTS = [name for name in FILES if (labs.ROOT / name).read_bytes().startswith(b"#!")]
# A change in one of these causes kernels to be rebuilt.
FROZEN = (
    "kernel/",
    "scripts/build-kernel.sh",
    "scripts/configure.sh",
    "scripts/farm.sh",
)
MENDABLE = [name for name in FILES if not name.startswith(FROZEN)]
NO_HELP = (".ci/run", "scripts/foreground.sh", "kernel/wire.sh")


def test_what_can_be_called_is_a_script() -> None:
    assert {"scripts/debug.sh", "initramfs/build.sh"} <= set(SCRIPTS)
    for name in FILES:
        executable = bool((labs.ROOT / name).stat().st_mode & 0o100)
        assert executable == (name in SCRIPTS), name


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in NO_HELP])
def test_help_is_the_head_of_the_script(name: str) -> None:
    """It is shown before any check, in any folder."""
    script = labs.ROOT / name
    for option in ("--help", "-h"):
        ended = labs.run(script, option, KERNEL="no such kernel", PORT="no port")
        assert (ended.returncode, ended.stderr) == (0, ""), name
        assert ended.stdout.startswith(f"Usage: {name}"), ended.stdout
        assert "shellcheck" not in ended.stdout and "SPDX" not in ended.stdout


@pytest.mark.parametrize("name", MENDABLE)
def test_lines_fit(name: str) -> None:
    """120 columns, a tab for four, as .editorconfig says."""
    lines = Path(labs.ROOT / name).read_text().expandtabs(4).splitlines()
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize("name", MENDABLE)
def test_options_are_set_in_one_place(name: str) -> None:
    """lib.sh sets them, or a script that does not source it."""
    text = (labs.ROOT / name).read_text()
    sets = "set -euo pipefail" in text.splitlines()
    sources = re.search(r'^\. ".*/(lib|guest)\.sh"$', text, re.MULTILINE)
    stands_alone = name in SCRIPTS and not sources
    assert sets == (name == "scripts/lib.sh" or stands_alone), name


def test_posix_mode_is_left() -> None:
    """It changes what bash does in the scripts, even how they are read."""
    asks = ". scripts/lib.sh; shopt -qo posix || echo ${POSIXLY_CORRECT-unset}"
    ended = labs.run("bash", "-c", asks, POSIXLY_CORRECT=1)
    assert (ended.stdout, ended.stderr) == ("unset\n", "")


# --- make ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, meant",
    [("PORTT=1", "PORT"), ("port=1", "PORT"), ("KERNAL=6.1", "KERNEL")],
)
def test_a_misspelt_variable_is_refused(given: str, meant: str) -> None:
    """It would be ignored, and another lab started than was asked for."""
    name = given.partition("=")[0]
    for target in ("debug", "help"):
        ended = labs.run("make", target, given)
        assert ended.returncode == 2 and ended.stdout == ""
        [line] = ended.stderr.splitlines()
        assert f"{name} is no variable of the lab: give {meant}=" in line


def test_other_variables_are_not_in_the_way() -> None:
    names = ("TMPDIR", "KERNEL", "BUILD", "T", "V", "HTTP_PROXY", "LAB_DEBUG")
    ended = labs.run("make", "help", *(f"{name}=it's a; $(value)" for name in names))
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("script", ["build-kernel", "fetch", "verify", "clean"])
def test_a_build_folder_that_cannot_be_made(tmp_path: Path, script: str) -> None:
    """Only the lab's own error is printed, none of mkdir's before it."""
    (tmp_path / "file").touch()
    for build in (tmp_path / "file" / "build", tmp_path / "file", "/proc/build"):
        ended = labs.run(f"scripts/{script}.sh", BUILD=build)
        assert ended.returncode == 1 and ended.stdout == ""
        sentence = f"error: {build} cannot be made: give a folder of yours with BUILD=."
        assert ended.stderr.splitlines() == [sentence]


def built(build: Path, kernels: Path) -> list[Path]:
    """Make what make clean removes and what it keeps, and return the latter."""
    kernels.mkdir(parents=True)
    build.mkdir(exist_ok=True)
    (kernels / "vmlinux").touch()
    for name in ("user", "run", "share", "sources", "downloads"):
        (build / name).mkdir()
    (build / "initramfs.cpio").touch()
    return [build / "sources", build / "downloads"]


def test_clean_removes_what_was_built(tmp_path: Path) -> None:
    build = tmp_path / "build"
    kept = built(build, build / "kernels")
    ended = labs.run("scripts/clean.sh", BUILD=build)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert sorted(build.iterdir()) == sorted(kept)


def test_clean_does_not_follow_a_link_of_somebody_s(tmp_path: Path) -> None:
    """For example a link to the kernels of another clone."""
    build, kernels = tmp_path / "build", tmp_path / "kernels"
    kept = built(build, kernels)
    (build / "kernels").symlink_to(kernels)
    ended = labs.run("scripts/clean.sh", BUILD=build)
    assert ended.returncode == 0 and "only the link is removed" in ended.stderr
    assert (kernels / "vmlinux").exists()
    assert sorted(build.iterdir()) == sorted(kept)


def test_clean_removes_kernels_that_had_to_be_elsewhere(tmp_path: Path) -> None:
    """build-kernel.sh uses another folder if Linux cannot be built in the clone's path."""
    build, cache = tmp_path / "a build", tmp_path / "cache"
    name = hashlib.sha256(str(build).encode()).hexdigest()[:16]
    elsewhere = cache / "seginfo-lab" / name
    kept = built(build, elsewhere)
    (build / "kernels").symlink_to(elsewhere)
    ended = labs.run("scripts/clean.sh", BUILD=build, XDG_CACHE_HOME=cache)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert sorted(build.iterdir()) == sorted(kept) and not elsewhere.exists()
    source = (labs.ROOT / "scripts" / "build-kernel.sh").read_text()
    formula = """seginfo-lab/$(printf %s "$BUILD" | sha256sum | cut -c 1-16)"""
    assert formula in source and formula in (labs.ROOT / "scripts/clean.sh").read_text()
