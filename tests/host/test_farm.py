# SPDX-License-Identifier: GPL-2.0-only
"""scripts/farm.sh: a tree of links that is kept in step with its source."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from support import projects

pytestmark = pytest.mark.once

SOURCE = {
    ".gitignore": "*.o\n.*\n!.gitignore\n/include/generated/\n/vmlinux\n",
    "Makefile": "VERSION = 6\n",
    "mm/Makefile": "obj-y += mmap.o\n",
    "mm/mmap.c": "",
    "include/linux/mm.h": "",
    "include/net/ip.h": "",
    "fs/ext4/super.c": "",
    "fs/open.c": "",
    "lib/.gitignore": "/table.h\n",
    "lib/table.c": "",
    "a folder/and a file": "",
}


def write(folder: Path, content: dict[str, str]) -> None:
    """Write files below FOLDER."""
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """A small source tree in a path with spaces."""
    folder = tmp_path / "my source"
    write(folder, SOURCE)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Where the farm will be."""
    return tmp_path / "farm" / "source"


def farm(src: Path, tree: Path, **settings) -> None:
    """Run scripts/farm.sh."""
    tree.parent.mkdir(exist_ok=True)
    result = projects.run(projects.ROOT / "scripts" / "farm.sh", src, tree, **settings)
    assert (result.returncode, result.stderr) == (0, "")


def seen(tree: Path) -> dict[str, str]:
    """Return all files visible in TREE, also through links, and their text."""
    found = {}
    for folder, _, names in os.walk(tree, followlinks=True):
        for name in names:
            path = Path(folder, name)
            found[str(path.relative_to(tree))] = path.read_text()
    return found


def test_all_files_are_seen(src: Path, tree: Path) -> None:
    farm(src, tree)
    assert seen(tree) == SOURCE


def test_source_is_only_read(src: Path, tree: Path) -> None:
    before = projects.files(src)
    farm(src, tree)
    farm(src, tree)
    assert projects.files(src) == before


def test_folders_to_write_into_are_real(src: Path, tree: Path) -> None:
    """They are those where a file is wired; other folders are single links."""
    farm(src, tree)
    for name in ("mm", "include", "include/linux"):
        assert not (tree / name).is_symlink()
    for name in ("fs", "include/net", "mm/mmap.c", "Makefile"):
        assert (tree / name).is_symlink()


@pytest.mark.parametrize("git", [False, True])
def test_build_products_are_left_out(src: Path, tree: Path, git: bool) -> None:
    """This works with or without git in the source, whether they are committed or not."""
    if git:
        projects.run("git", "init", "-q", src)
        projects.run("git", "-C", src, "add", ".")
    products = {
        ".config": "",
        "vmlinux": "",
        "include/generated/autoconf.h": "",
        "fs/ext4/super.o": "",
        "fs/ext4/.super.o.cmd": "",
        "lib/table.h": "",
    }
    write(src, products)
    farm(src, tree)
    assert seen(tree) == SOURCE


def test_build_products_without_gitignore(src: Path, tree: Path) -> None:
    """The archive was packed without the top .gitignore."""
    (src / ".gitignore").unlink()
    products = {
        ".config": "",
        "vmlinux": "",
        "include/config/auto.conf": "",
        "include/generated/autoconf.h": "",
        "arch/x86/include/generated/asm.h": "",
        "fs/ext4/super.o": "",
        "fs/ext4/.super.o.cmd": "",
    }
    write(src, products)
    farm(src, tree)
    expected = dict(SOURCE)
    del expected[".gitignore"]
    assert seen(tree) == expected


def test_gitignore_that_ignores_all(src: Path, tree: Path) -> None:
    """Debian's linux-source has one, since Debian's repository does not hold the kernel."""
    (src / ".gitignore").write_text("/*\n!/debian/\n")
    write(src, {".config": "", "fs/open.o": "", "include/generated/a.h": ""})
    farm(src, tree)
    found = seen(tree)
    assert found.pop(".gitignore") == "/*\n!/debian/\n"
    assert found == {k: v for k, v in SOURCE.items() if k != ".gitignore"}


def test_nothing_changed(src: Path, tree: Path) -> None:
    farm(src, tree)
    before = projects.files(tree.parent)
    farm(src, tree)
    assert projects.files(tree.parent) == before


@pytest.mark.parametrize(
    "change",
    [
        {"add": {"mm/new.c": "new"}},
        {"add": {"drivers/new/new.c": "new"}},
        {"add": {"fs/ext4/new.c": "new"}},
        {"remove": ["mm/mmap.c"]},
        {"remove": ["fs"]},
        {"remove": ["include/linux/mm.h"]},
        {"add": {"fs/ext4/super.c": "edited"}},
        {"add": {"lib/table.o": "", "lib/table.h": ""}, "hidden": True},
        {"remove": ["mm/mmap.c"], "add": {"mm/mmap.c/now a folder": "new"}},
        {"remove": ["include/linux"], "add": {"include/linux": "now a file"}},
        {"remove": ["fs"], "add": {"fs": "now a file"}},
        {"add": {"new\nline": "new", " spaces ": "new"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("back", [False, True])
def test_follows_its_source(src: Path, tree: Path, change: dict, back: bool) -> None:
    """A refreshed farm equals a new one, after a change and after its reversal."""
    farm(src, tree)
    kept = src.parent / "kept"
    shutil.copytree(src, kept)
    expected = dict(SOURCE)
    for name in change.get("remove", []):
        path = src / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        expected = {
            k: v
            for k, v in expected.items()
            if k != name and not k.startswith(name + "/")
        }
    write(src, change.get("add", {}))
    if not change.get("hidden"):
        expected |= change.get("add", {})
    if back:
        farm(src, tree)
        shutil.rmtree(src)
        kept.rename(src)
        expected = SOURCE
    farm(src, tree)
    assert seen(tree) == expected
    fresh = tree.parent / "fresh"
    farm(src, fresh)
    links = {k: v[:2] for k, v in projects.files(tree).items()}
    assert links == {k: v[:2] for k, v in projects.files(fresh).items()}


def test_wired_files_stay(src: Path, tree: Path) -> None:
    """A file that has replaced a link is not linked again."""
    farm(src, tree)
    (tree / "mm/Makefile").unlink()
    (tree / "mm/Makefile").write_text("wired\n")
    write(src, {"mm/new.c": "", "drivers/new.c": ""})
    farm(src, tree)
    assert (tree / "mm/Makefile").read_text() == "wired\n"
    assert (tree / "mm/new.c").is_symlink()


def test_unfinished_farm_is_made_again(src: Path, tree: Path) -> None:
    farm(src, tree)
    (tree / "mm/mmap.c").unlink()
    Path(f"{tree}.links").unlink()
    farm(src, tree)
    assert seen(tree) == SOURCE


def test_folders_that_may_not_be_written() -> None:
    """The source belongs to another user, and its folders are only readable."""
    with projects.open_folder() as folder, projects.open_folder(give=True) as theirs:
        src = folder / "my source"
        write(src, SOURCE)
        for path in [src, *src.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        tree = theirs / "farm" / "source"
        projects.run("mkdir", tree.parent, as_nobody=True)
        farm(src, tree, as_nobody=True)
        assert seen(tree) == SOURCE
        new = projects.run("touch", tree / "mm" / "new", as_nobody=True)
        assert new.returncode == 0, new.stderr


def test_real_tree(tmp_path: Path) -> None:
    """The selected kernel's farm has all that Kbuild may ask for, and few links."""
    src = projects.selected_tree()
    tree = tmp_path / "source"
    farm(src, tree)
    for name in (
        "Makefile",
        "arch/x86/entry/syscalls/syscall_64.tbl",
        "scripts/gdb/vmlinux-gdb.py",
        "tools/objtool/Makefile",
        "fs/proc/task_mmu.c",
    ):
        assert (tree / name).read_bytes() == (src / name).read_bytes()
    # Kbuild enters these with `make -C`, which would follow a link into SRC.
    assert (tree / "tools/objtool").resolve() == (tree / "tools/objtool")
    assert len(projects.files(tree)) < 10_000
