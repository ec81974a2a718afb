# SPDX-License-Identifier: GPL-2.0-only
"""scripts/configure.sh on the selected kernel: every option is set, or it refuses.

Also the kernel with our option off: it builds, and the call returns ENOSYS.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from support import projects
from support.projects import Project

MARK = "# Optional"


class Kernel:
    """A copy of the project with a wired farm of the selected kernel."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder / "lab")
        self.tree = folder / "source"
        self.obj = folder / "obj"
        self.fragment = self.project.root / "kernel" / "lab.config"
        self.original = self.fragment.read_text()
        src = projects.selected_tree()
        for step in ("scripts/farm.sh", "kernel/wire.sh"):
            done = projects.run(self.project.root / step, src, self.tree)
            assert (done.returncode, done.stderr) == (0, "")

    def configure(self, obj: Path | None = None, **settings):
        """Run configure.sh."""
        script = self.project.script("configure.sh")
        return projects.run(script, self.tree, obj or self.obj, limit=300, **settings)

    def ask_for(self, *required: str, optional: str = "") -> None:
        """Add lines to lab.config, above and below its mark."""
        above, below = self.original.split(MARK)
        lines = "".join(f"{line}\n" for line in required)
        self.fragment.write_text(f"{above}{lines}{MARK}{below}{optional}\n")

    def kbuild(self, obj: Path, *targets: str) -> None:
        """Run the kernel's own make."""
        lib = self.project.script("lib.sh")
        shell = ("bash", "-c", f'. "{lib}"; kbuild "$@"', "-")
        result = projects.run(*shell, self.tree, obj, *targets, limit=300)
        assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """The kernel, configured once."""
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    result = kernel.configure()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    return kernel


@pytest.fixture(scope="module")
def kept(made: Kernel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of its configuration."""
    kept = tmp_path_factory.mktemp("kept") / "obj"
    return shutil.copytree(made.obj, kept, symlinks=True)


@pytest.fixture
def kernel(made: Kernel, kept: Path) -> Iterator[Kernel]:
    """The same kernel; lab.config and its configuration are restored after the test."""
    yield made
    if made.fragment.read_text() != made.original:
        made.fragment.write_text(made.original)
        shutil.rmtree(made.obj)
        shutil.copytree(kept, made.obj, symlinks=True)
        assert made.configure().returncode == 0


def assert_refused(result, *options: str) -> None:
    """Check that it was refused with one sentence that names just these options."""
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert re.findall(r"CONFIG_\S+", result.stderr) == list(options)


def test_every_required_line_is_in_the_config(kernel: Kernel) -> None:
    required = re.findall(r"^CONFIG_.*", kernel.original.split(MARK)[0], flags=re.M)
    assert len(required) > 50
    lines = (kernel.obj / ".config").read_text().splitlines()
    assert set(required) <= set(lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "least"),
    [("JUDGES", 20), ("RANDSTRUCT", 2)],
)
def test_more_options_are_in_a_config_of_their_own(
    kernel: Kernel, tmp_path: Path, variable: str, least: int
) -> None:
    """JUDGES=1 sets all of lab.config and judges.config, and names what gets lost."""
    name = variable.lower()
    if variable == "RANDSTRUCT":  # as `make setup` does
        setup = kernel.project.root / "scripts" / "setup.sh"
        assert projects.run(setup, "packages-randstruct.txt").returncode == 0
    config = kernel.project.root / "kernel" / f"{name}.config"
    original = config.read_text()
    required = re.findall(r"^CONFIG_.*", original.split(MARK)[0], flags=re.M)
    assert len(required) >= least
    result = kernel.configure(tmp_path, **{variable: 1})
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    lines = set((tmp_path / ".config").read_text().splitlines())
    assert set(required) <= lines and "CONFIG_SEGMENT_INFO=y" in lines
    assert not set(required) <= set((kernel.obj / ".config").read_text().splitlines())

    config.write_text(f"CONFIG_KASAN_NO_SUCH=y\n{original}")
    lost = kernel.configure(tmp_path, **{variable: 1})
    assert_refused(lost, "CONFIG_KASAN_NO_SUCH=y")
    config.write_text(original)


def test_structures_are_not_randomised(kernel: Kernel) -> None:
    """A debugger could not read them."""
    on = re.findall(
        r"^CONFIG_(\w*RANDSTRUCT\w*)=y",
        (kernel.obj / ".config").read_text(),
        flags=re.M,
    )
    assert on in ([], ["RANDSTRUCT_NONE"])


@pytest.mark.once
def test_second_run_does_nothing(kernel: Kernel) -> None:
    before = projects.files(kernel.obj)
    result = kernel.configure()
    assert (result.returncode, result.stderr) == (0, "")
    changed = {k for k, v in projects.files(kernel.obj).items() if before.get(k) != v}
    assert changed <= {".config.made_from"}


@pytest.mark.once
def test_what_got_lost_is_named(kernel: Kernel) -> None:
    """Named are options that this kernel lacks, that lack their dependencies (BTRFS_FS and
    XFS_FS need BLOCK), and that have another value. Only an optional option may be missing,
    and only if this kernel has no option of that name.
    """
    kernel.ask_for(
        *("CONFIG_NO_SUCH_THING=y", "CONFIG_BTRFS_FS=y", "CONFIG_HZ=77"),
        optional="CONFIG_NOR_THIS=7\nCONFIG_XFS_FS=y",
    )
    lost = "NO_SUCH_THING=y BTRFS_FS=y HZ=77 XFS_FS=y".split()
    assert_refused(kernel.configure(), *(f"CONFIG_{option}" for option in lost))
    assert not (kernel.obj / ".config.made_from").exists(), "to be made again"


@pytest.mark.once
def test_option_that_is_new_gets_in(kernel: Kernel) -> None:
    kernel.ask_for("CONFIG_IKCONFIG=y", optional="CONFIG_NOR_THIS=7")
    result = kernel.configure()
    assert (result.returncode, result.stderr) == (0, "")
    assert "CONFIG_IKCONFIG=y\n" in (kernel.obj / ".config").read_text()


@pytest.mark.once
def test_option_switched_off_by_hand(kernel: Kernel) -> None:
    """It was changed as by make menuconfig; the rest of .config is kept."""
    config = kernel.obj / ".config"
    text = config.read_text()
    off = "# CONFIG_SEGMENT_INFO is not set"
    config.write_text(text.replace("CONFIG_SEGMENT_INFO=y", off))
    assert_refused(kernel.configure(), "CONFIG_SEGMENT_INFO=y")
    config.write_text(text)


def test_kernel_with_the_call_switched_off(kernel: Kernel, tmp_path: Path) -> None:
    """Entry 451 of the table exists, and its function returns ENOSYS."""
    text = (kernel.obj / ".config").read_text()
    off = text.replace("CONFIG_SEGMENT_INFO=y", "# CONFIG_SEGMENT_INFO is not set")
    assert off != text
    (tmp_path / ".config").write_text(off)
    table, stub = "arch/x86/entry/syscall_64.o", "kernel/sys_ni.o"
    kernel.kbuild(tmp_path, "-s", "olddefconfig")
    kernel.kbuild(tmp_path, "-s", "-j4", table, stub)
    name = "__x64_sys_segment_info"

    def symbol(file: str) -> str:
        """Return the letter that nm prints for our call."""
        listed = projects.run("nm", tmp_path / file).stdout
        return re.search(rf"(\w) {name}$", listed, flags=re.M)[1]

    assert (symbol(table), symbol(stub)) == ("U", "W")
    code = projects.run("objdump", "-dr", f"--disassemble={name}", tmp_path / stub)
    assert re.search(r"0xffffffffffffffda|sys_ni_syscall", code.stdout), "-ENOSYS"
    header = tmp_path / "arch/x86/include/generated/asm/syscalls_64.h"
    assert re.search(r"\(451, (sys|__x64_sys)_segment_info\)", header.read_text())
