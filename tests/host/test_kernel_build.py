# SPDX-License-Identifier: GPL-2.0-only
"""scripts/build-kernel.sh: what is built when, and what it prints.

How builds are run is tested with a toy tree (tests/support/toy_tree.py), what they make
with the real kernel.
"""

from __future__ import annotations

import os
import re
import signal
import tarfile
from pathlib import Path

import pexpect
import pytest

from support import projects, toy_tree
from support.projects import Project

pytestmark = pytest.mark.once


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A copy of the project."""
    return Project(tmp_path / "lab")


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """A toy tree, in a path with spaces."""
    return toy_tree.plant(tmp_path / "my toy tree")


def build(project: Project, src: Path, **settings):
    """Build the toy tree, which must succeed."""
    result = project.run("build-kernel.sh", KERNEL_SRC=src, **settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "" or "V" in settings
    return result


def folder(project: Project, src: Path) -> Path:
    """Return the toy tree's folder in build/kernels."""
    found = project.lib("kernel_dir", KERNEL_SRC=src)
    return Path(found.stdout.strip())


def count(project: Project, src: Path, what: str) -> int:
    """Count how often the toy tree was configured, compiled, linked or made."""
    log = folder(project, src) / "obj" / "count"
    return log.read_text().split().count(what) if log.exists() else 0


def assert_error(result, *words: str) -> None:
    """Check that the last line is an error that contains all WORDS."""
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    for word in words:
        assert word in last


def is_alive(pid: int) -> bool:
    """Does this process still run?"""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def slow_down(src: Path) -> None:
    """Make the toy tree's compiler take a minute and write its pid to a file."""
    (src / "fs/before.sh").write_text(
        'echo $$ >"$1/pid.new"; mv "$1/pid.new" "$1/pid"; exec sleep 60\n'
    )


def test_what_is_there_afterwards(project: Project, src: Path) -> None:
    result = build(project, src)
    kernel = folder(project, src)
    assert re.fullmatch(
        f"kernel {kernel.name}: 1 objects, [0-9]+ s\n", result.stderr
    ), result.stderr
    assert (kernel / "obj/.config").exists()
    assert (kernel / "obj/vmlinux-gdb.py").exists()
    assert "CC      fs/open.o" in (kernel / "build.log").read_text()
    sections = {
        name: projects.run("objdump", "-h", kernel / name).stdout
        for name in ("obj/vmlinux", "vmlinux.pvh")
    }
    assert ".debug_info" in sections["obj/vmlinux"]
    assert ".text" in sections["vmlinux.pvh"]
    assert ".debug" not in sections["vmlinux.pvh"]


def test_source_is_only_read(project: Project, src: Path) -> None:
    before = projects.files(src)
    build(project, src)
    assert projects.files(src) == before


def test_up_to_date(project: Project, src: Path) -> None:
    build(project, src)
    before = projects.files(project.build)
    result = build(project, src)
    assert result.stderr == ""
    assert projects.files(project.build) == before


def test_edit_is_built(project: Project, src: Path) -> None:
    build(project, src)
    old = (folder(project, src) / "vmlinux.pvh").read_bytes()
    edited = (src / "fs/open.c").read_text().replace("return 1", "return 2")
    (src / "fs/open.c").write_text(edited)
    build(project, src)
    assert count(project, src, "compiled") == 2
    assert (folder(project, src) / "vmlinux.pvh").read_bytes() != old
    assert build(project, src).stderr == ""


@pytest.mark.parametrize("change", ["added", "removed", "moved here, old"])
def test_other_changes_start_make(project: Project, src: Path, change: str) -> None:
    (src / "fs/extra.c").write_text("old")
    (src.parent / "elsewhere").write_text("elder")
    os.utime(src.parent / "elsewhere", (1, 1))
    build(project, src)
    if change == "added":
        (src / "fs/new.c").write_text("")
    elif change == "removed":
        (src / "fs/extra.c").unlink()
    else:
        (src.parent / "elsewhere").rename(src / "fs/extra.c")
    build(project, src)
    assert count(project, src, "made") == 2
    assert count(project, src, "configured") == 1
    assert build(project, src).stderr == ""


def test_build_products_in_the_source_start_nothing(
    project: Project, src: Path
) -> None:
    build(project, src)
    (src / "fs/open.o").write_text("")
    (src / ".config").write_text("")
    assert build(project, src).stderr == ""
    assert count(project, src, "made") == 1


def test_edit_of_our_file_is_built(project: Project, src: Path) -> None:
    """No option has changed, so the kernel is not configured again."""
    build(project, src)
    ours = project.root / "kernel" / "segment_info.c"
    ours.write_text(ours.read_text() + "\n")
    build(project, src)
    assert count(project, src, "linked") == 2
    assert count(project, src, "configured") == 1


def test_change_of_options_configures(project: Project, src: Path) -> None:
    build(project, src)
    ours = project.root / "kernel" / "lab.config"
    ours.write_text(ours.read_text().replace("# Optional", "CONFIG_MORE=y\n# Optional"))
    build(project, src)
    assert count(project, src, "configured") == 2
    assert "CONFIG_MORE=y" in (folder(project, src) / "obj/.config").read_text()


def test_edit_while_the_compiler_runs_is_seen(project: Project, src: Path) -> None:
    (src / "fs/before.sh").write_text(f'sleep 0.1; touch "{src}/fs/late.c"\n')
    build(project, src)
    (src / "fs/before.sh").write_text(":\n")
    assert build(project, src).stderr != ""


def test_error_of_the_compiler(project: Project, src: Path) -> None:
    (src / "fs/open.c").write_text("int missing_semicolon\n")
    result = project.run("build-kernel.sh", KERNEL_SRC=src)
    kernel = folder(project, src)
    assert_error(result, str(kernel / "build.log"))
    log = (kernel / "build.log").read_text().splitlines()
    assert "\n".join(log[-20:]) in result.stderr
    assert "error: expected" in result.stderr
    assert not (kernel / "vmlinux.pvh").exists()

    (src / "fs/open.c").write_text(toy_tree.FILES["fs/open.c"])
    build(project, src)
    assert count(project, src, "configured") == 1, "went on where it had stopped"


def test_only_the_end_of_a_long_log_is_shown(project: Project, src: Path) -> None:
    (src / "fs/before.sh").write_text("seq 1001 2000; exit 1\n")
    result = project.run("build-kernel.sh", KERNEL_SRC=src)
    shown = [line for line in result.stderr.splitlines() if re.fullmatch(r"\d+", line)]
    assert 10 < len(shown) < 20
    assert shown[-1] == "2000"


def test_full_output(project: Project, src: Path) -> None:
    result = build(project, src, V=1)
    assert "CC      fs/open.o" in result.stdout
    assert result.stdout == (folder(project, src) / "build.log").read_text()


def test_full_output_of_an_error(project: Project, src: Path) -> None:
    (src / "fs/open.c").write_text("int missing_semicolon\n")
    result = project.run("build-kernel.sh", KERNEL_SRC=src, V=1)
    assert_error(result, "build.log")


def test_kernel_without_the_call(project: Project, src: Path) -> None:
    """The option is set, but the function is missing from the kernel."""
    weak = "__attribute__((weak)) " + toy_tree.FILES["fs/open.c"]
    (src / "fs/open.c").write_text(weak)
    result = project.run("build-kernel.sh", KERNEL_SRC=src)
    assert_error(result, "segment_info")
    assert not (folder(project, src) / "built").exists()


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM to the script alone"])
def test_interrupted(project: Project, src: Path, how: str) -> None:
    """The compiler ends with the script; the next run goes on."""
    slow_down(src)
    pid_file = folder(project, src) / "obj" / "pid"
    process = project.start("build-kernel.sh", KERNEL_SRC=src)
    projects.wait_for(pid_file.exists, limit=30)
    pid = int(pid_file.read_text())
    assert is_alive(pid)
    if how == "Ctrl-C":
        assert projects.interrupt(process) != 0
    else:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) != 0
    projects.wait_for(lambda: not is_alive(pid))
    assert not (folder(project, src) / "vmlinux.pvh").exists()

    (src / "fs/before.sh").write_text(":\n")
    build(project, src)
    assert count(project, src, "configured") == 1


@pytest.mark.parametrize("verbose", ["", "1"])
def test_killed(project: Project, src: Path, verbose: str) -> None:
    """The compiler ends as well, so the next run does not have to wait for it."""
    slow_down(src)
    pid_file = folder(project, src) / "obj" / "pid"
    process = project.start("build-kernel.sh", KERNEL_SRC=src, V=verbose)
    projects.wait_for(pid_file.exists, limit=30)
    pid = int(pid_file.read_text())
    assert is_alive(pid)
    process.kill()
    process.wait(timeout=15)
    projects.wait_for(lambda: not is_alive(pid), limit=15)
    (src / "fs/before.sh").write_text(":\n")
    build(project, src)


def test_progress_on_a_terminal(project: Project, src: Path) -> None:
    """It is one line that is overwritten."""
    (src / "fs/before.sh").write_text("sleep 2\n")
    terminal = pexpect.spawn(
        str(project.script("build-kernel.sh")),
        env=projects.environment(KERNEL_SRC=src),
        cwd=project.root,
        encoding="utf-8",
        timeout=30,
    )
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    name = re.escape(folder(project, src).name)
    assert re.search(rf"\r\x1b\[Kkernel {name}: 1 objects, 1 s\r", terminal.before)
    assert terminal.before.count("\n") == 1


def test_two_at_once(project: Project, src: Path, tmp_path: Path) -> None:
    compiles, go_on = tmp_path / "compiles", tmp_path / "go-on"
    (src / "fs/before.sh").write_text(
        f'touch "{compiles}"; while ! [ -e "{go_on}" ]; do sleep 0.02; done\n'
    )
    first = project.start("build-kernel.sh", KERNEL_SRC=src)
    projects.wait_for(compiles.exists)
    second = project.start("build-kernel.sh", KERNEL_SRC=src)
    assert second.stdout
    waiting = second.stdout.readline()  # "" if it ends instead of waiting
    go_on.touch()
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    outputs[1] = waiting + outputs[1]
    both = [first, second]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("waiting until it is done" in output for output in outputs) == 1
    assert count(project, src, "made") == 1


def test_what_a_calling_make_has_set(project: Project, src: Path) -> None:
    """It must not reach the kernel's make, as the toy tree checks."""
    build(
        project,
        src,
        MAKEFLAGS=" -- PORT=1234 KERNEL_SRC=x",
        MAKEOVERRIDES="PORT=1234",
        MAKELEVEL="1",
        KBUILD_OUTPUT="/nowhere",
        ARCH="arm64",
        CROSS_COMPILE="aarch64-linux-gnu-",
    )


def test_moved_folder_is_built_anew(project: Project, src: Path) -> None:
    """The kernel and its makefiles contain absolute paths."""
    build(project, src)
    moved = project.root.parent / "moved"
    project.root.rename(moved)
    project.root, project.build = moved, moved / "build"
    build(project, src)
    assert count(project, src, "compiled") == 1
    kernel = folder(project, src)
    assert (kernel / "obj/vmlinux-gdb.py").resolve().exists()
    assert str(moved) in os.readlink(kernel / "obj/vmlinux-gdb.py")
    assert build(project, src).stderr == ""


def test_pinned_kernel(project: Project, src: Path, tmp_path: Path) -> None:
    """A kernel given by version is downloaded and built, and then left alone."""
    packed = tmp_path / "linux-6.0.5.tar.xz"
    with tarfile.open(packed, "w:xz") as tar:
        tar.add(src, arcname="linux-6.0.5")
    project.pin(("6.0.5", "kernel.org", "v6.x", packed.name, packed.read_bytes()))
    with projects.serving({packed.name: packed.read_bytes()}) as server:
        result = project.run(
            "build-kernel.sh", KERNEL="6.0.5", KERNEL_MIRROR=server.url
        )
    assert result.returncode == 0, result.stderr
    kernel = project.build / "kernels" / "6.0.5"
    assert (kernel / "vmlinux.pvh").exists()
    again = project.run("build-kernel.sh")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.parametrize("version", ["5.9", "6.5", "4.19", "7.0"])
def test_version_out_of_range(project: Project, src: Path, version: str) -> None:
    major, minor = version.split(".")
    text = toy_tree.MAKEFILE.replace("VERSION = 6", f"VERSION = {major}", 1)
    text = text.replace("PATCHLEVEL = 0", f"PATCHLEVEL = {minor}", 1)
    (src / "Makefile").write_text(text)
    result = project.run("build-kernel.sh", KERNEL_SRC=src)
    assert_error(result, f"Linux {version}", "5.10 to 6.4")


@pytest.mark.parametrize("version", ["5.10", "6.1", "6.4"])
def test_version_in_range(project: Project, src: Path, version: str) -> None:
    major, minor = version.split(".")
    text = toy_tree.MAKEFILE.replace("VERSION = 6", f"VERSION = {major}", 1)
    text = text.replace("PATCHLEVEL = 0", f"PATCHLEVEL = {minor}", 1)
    (src / "Makefile").write_text(text)
    build(project, src)


@pytest.mark.parametrize("name", ["Makefile", "arch/x86/entry/syscalls/syscall_64.tbl"])
def test_no_linux_tree(project: Project, src: Path, name: str) -> None:
    (src / name).unlink()
    result = project.run("build-kernel.sh", KERNEL_SRC=src)
    assert_error(result, str(src), "KERNEL_SRC")


def test_build_folder_with_spaces(src: Path, tmp_path: Path) -> None:
    """Kbuild cannot work there, so kernels are built elsewhere."""
    project = Project(tmp_path / "my lab")
    cache = tmp_path / "cache"
    first = build(project, src, XDG_CACHE_HOME=cache)
    assert str(cache) in first.stderr.splitlines()[0]
    kernel = folder(project, src)
    assert kernel.is_relative_to(project.build)
    assert (kernel / "vmlinux.pvh").exists()
    assert (kernel / "vmlinux.pvh").resolve().is_relative_to(cache)
    assert build(project, src, XDG_CACHE_HOME=cache).stderr == ""


def test_no_folder_without_spaces(src: Path, tmp_path: Path) -> None:
    project = Project(tmp_path / "my lab")
    result = project.run(
        "build-kernel.sh", KERNEL_SRC=src, XDG_CACHE_HOME=tmp_path / "my cache"
    )
    assert_error(result, "my lab", "my cache", "BUILD=")


def test_without_root_and_without_a_home() -> None:
    """ccache then cannot write anywhere, and must not be used."""
    with projects.open_folder() as folder, projects.open_folder(give=True) as theirs:
        project = Project(folder / "lab")
        src = toy_tree.plant(folder / "my toy tree")
        project.build = theirs / "build"
        nowhere = {"HOME": "/nonexistent", "CCACHE_DIR": "/nonexistent/ccache"}
        build(project, src, as_nobody=True, BUILD=project.build, **nowhere)
        kernels = project.build / "kernels"
        log = next(kernels.glob("src-*")) / "obj" / "count"
        assert log.read_text().split().count("compiled") == 1


# The real kernel, built by `make test`


@pytest.fixture(scope="module")
def kernel() -> Path:
    """The folder of the selected kernel."""
    lib = projects.ROOT / "scripts" / "lib.sh"
    env = {k: os.environ[k] for k in projects.SELECTION if k in os.environ}
    found = projects.run("bash", "-c", f'. "{lib}"; kernel_dir', **env)
    return Path(found.stdout.strip())


def test_banner_names_no_person_and_no_day(kernel: Path) -> None:
    banner = re.search(rb"Linux version [^\n]*", (kernel / "vmlinux.pvh").read_bytes())
    assert banner
    assert b"(seginfo@lab)" in banner[0]
    assert b"Thu Jan 1 00:00:00 UTC 1970" in banner[0]
    assert b"+ (" not in banner[0]


def test_call_is_in_the_kernel(kernel: Path) -> None:
    symbols = (kernel / "obj" / "System.map").read_text()
    assert re.search(r" T __x64_sys_segment_info$", symbols, flags=re.M)
    assert re.search(r" t segment_info_fill$", symbols, flags=re.M)


def test_stripped_kernel_is_the_same_kernel(kernel: Path) -> None:
    for name in ("vmlinux.pvh", "obj/vmlinux"):
        shown = projects.run("readelf", "--notes", "--sections", kernel / name).stdout
        assert (".debug_info" in shown) == (name == "obj/vmlinux")
        # Xen's note 18, the 32-bit entry point: what PVH needs
        assert re.search(r"Xen\s.*\(0x00000012\)", shown)
    ids = {
        re.search(
            r"Build ID: (\w+)", projects.run("readelf", "--notes", kernel / name).stdout
        )[1]
        for name in ("vmlinux.pvh", "obj/vmlinux")
    }
    assert len(ids) == 1


def test_kernels_own_gdb_commands_load(kernel: Path) -> None:
    """There is no warning about safe paths, and no Python error."""
    obj = (kernel / "obj").resolve()
    result = projects.run(
        *("gdb", "-q", "-nx", "-batch", "-iex", f"add-auto-load-safe-path {obj}"),
        *(kernel / "obj/vmlinux", "-ex", "help lx-version", "-ex", "help lx-ps"),
    )
    assert result.returncode == 0
    assert result.stderr == ""
    assert "Report the Linux Version" in result.stdout
    assert "Dump Linux tasks" in result.stdout
