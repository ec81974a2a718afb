# SPDX-License-Identifier: GPL-2.0-only
"""kernel/wire.sh on the real files of the selected kernel, intact and doctored."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from support import projects

TABLE = "arch/x86/entry/syscalls/syscall_64.tbl"
PVH = "arch/x86/platform/pvh/Makefile"
LIB = "lib/Makefile"
CONSTANTS = "scripts/gdb/linux/constants.py.in"
TIMERLIST = "scripts/gdb/linux/timerlist.py"
RBTREE = "scripts/gdb/linux/rbtree.py"
DMESG = "scripts/gdb/linux/dmesg.py"
PROC = "scripts/gdb/linux/proc.py"
LOADER = "scripts/gdb/vmlinux-gdb.py"
TOUCHED = (
    "mm/Makefile",
    "mm/Kconfig",
    "kernel/sys_ni.c",
    "include/linux/syscalls.h",
    TABLE,
    PVH,
    LIB,
    CONSTANTS,
    LOADER,
)
COMMANDS = (TIMERLIST, RBTREE, DMESG, PROC)  # changed where they are
OURS = {
    "mm/segment_info.c": "kernel/segment_info.c",
    "include/uapi/linux/segment_info.h": "kernel/segment_info.h",
    "scripts/gdb/linux/lab.py": "kernel/lx.py",
    "scripts/gdb/linux/printable.py": "gdb/lab/printable.py",
}
PROTOTYPE = "asmlinkage long sys_segment_info(struct segment_info __user *info);"
ENTRY = "451\t64\tsegment_info\t\tsys_segment_info"

# What is added to each file, and the line that must follow.
GAINS = {
    "mm/Makefile": ("obj-$(CONFIG_SEGMENT_INFO) += segment_info.o\n", ""),
    "mm/Kconfig": (
        (projects.ROOT / "kernel" / "Kconfig").read_text() + "\n",
        "endmenu\n",
    ),
    "kernel/sys_ni.c": (
        "\n/* mm/segment_info.c */\nCOND_SYSCALL(segment_info);\n",
        "",
    ),
    "include/linux/syscalls.h": (
        f"/* mm/segment_info.c */\nstruct segment_info;\n{PROTOTYPE}\n\n",
        "/*\n * Architecture-specific system calls\n */\n",
    ),
    PVH: ("KASAN_SANITIZE_enlighten.o := n\n", ""),
    LIB: (
        "\n# called by xen_prepare_pvh()\nKASAN_SANITIZE_string.o := n\n",
        "",
    ),
    TABLE: (f"{ENTRY}\n", "\n#\n# Due to a historical design error"),
}


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """The files that wire.sh changes, of the selected kernel, in a path with spaces."""
    tree = projects.selected_tree()
    copy = tmp_path / "a source tree"
    for name in TOUCHED + COMMANDS:
        text = (tree / name).read_text()
        if name in GAINS:  # a tree given by KERNEL_SRC may be wired
            text = text.replace(GAINS[name][0], "")
        assert "segment_info" not in text, f"{tree}/{name} is wired in another way"
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
    (copy / "include/uapi/linux").mkdir(parents=True)
    return copy


@pytest.fixture
def tree(tmp_path: Path, src: Path) -> Path:
    """A farm of links to them."""
    return plant(src, tmp_path / "a farm")


def plant(src: Path, tree: Path) -> Path:
    """Make TREE a farm of links to the files of SRC."""
    for path in src.rglob("*"):
        target = tree / path.relative_to(src)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.symlink_to(path)
    return tree


def wire(src: Path, tree: Path, **settings):
    """Run kernel/wire.sh."""
    return projects.run(projects.ROOT / "kernel" / "wire.sh", src, tree, **settings)


def edit(src: Path, name: str, pattern: str, new: str) -> None:
    """Replace PATTERN in a file, which must match."""
    text, count = re.subn(pattern, new, (src / name).read_text(), flags=re.M)
    assert count
    (src / name).write_text(text)


def assert_refused(src: Path, tree: Path, *words: str) -> None:
    """Check that it failed with a sentence that has all WORDS, and the farm is unchanged."""
    before = projects.files(tree)
    result = wire(src, tree)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    for word in words:
        assert word in result.stderr
    assert projects.files(tree) == before


@pytest.mark.parametrize("name", GAINS)
def test_gain(src: Path, tree: Path, name: str) -> None:
    """Only the expected lines are added, at the right place."""
    result = wire(src, tree)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    gain, follows = GAINS[name]
    text = (tree / name).read_text()
    assert text.count(gain + follows) == 1
    assert text.replace(gain, "", 1) == (src / name).read_text()
    if not follows:
        assert text.endswith(gain)
    assert not (tree / name).is_symlink()


def test_entry_stands_in_order(src: Path, tree: Path) -> None:
    """It comes after all calls below 512, before the first of x32's own."""
    assert wire(src, tree).returncode == 0
    rows = re.findall(r"^(\d+)\t\S+\t(\S+)", (tree / TABLE).read_text(), flags=re.M)
    numbers = [int(number) for number, _ in rows]
    at = rows.index(("451", "segment_info"))
    assert max(numbers[:at]) < 451
    assert min(numbers[at + 1 :]) == 512


@pytest.mark.parametrize("name", OURS)
def test_our_files_are_links(src: Path, tree: Path, name: str) -> None:
    """So editing the source where the debugger shows it edits our file."""
    assert wire(src, tree).returncode == 0
    assert (tree / name).resolve() == projects.ROOT / OURS[name]


def test_gdb_constants_are_python(src: Path, tree: Path) -> None:
    """SB_RDONLY may be 1UL << 0, which only gdb can parse."""
    assert wire(src, tree).returncode == 0
    text = (tree / CONSTANTS).read_text()
    assert "LX_GDBPARSED(SB_RDONLY)" in text
    assert "LX_VALUE(SB_" not in text
    same = text.replace("LX_GDBPARSED(SB_", "LX_VALUE(SB_")
    assert same == (src / CONSTANTS).read_text().replace(
        "LX_GDBPARSED(SB_", "LX_VALUE(SB_"
    )


def test_gdb_commands_are_mended(src: Path, tree: Path) -> None:
    """Upstream's bugs in them are fixed, and our module is loaded before them."""
    assert wire(src, tree).returncode == 0
    timers = (tree / TIMERLIST).read_text()
    assert "base['active']['rb_root']['rb_leftmost']" in timers
    assert not re.search(r"\bxrange\(|\['active'\]\['next'\]", timers)
    before, rest = (tree / RBTREE).read_text().split("def rb_prev(")
    assert "dereference()" not in rest.split("\nclass ")[0]
    upstream = (src / RBTREE).read_text().split("def rb_prev(")[0]
    by_name = r"str(\1.type.strip_typedefs()) \2 str(\3):"
    assert before == re.sub(r"(\w+)\.type ([!=]=) (.*):", by_name, upstream)
    for script in (tree / RBTREE).parent.glob("*.py"):
        assert not re.search(r"\.type\)* [!=]= \w+\.get_type", script.read_text())
    assert re.search(r'\.decode\(\s*"lab_text"\)', (tree / DMESG).read_text())
    strings = re.findall(r"\.string\((.*?)\)", (tree / PROC).read_text())
    assert set(strings) == {'"lab_name"', '"lab_text"'}
    assert strings.count('"lab_text"') == 1  # lx-version: it has a newline
    loader = (tree / LOADER).read_text()
    assert loader.index("import linux.lab\n") < loader.index("import linux.utils\n")
    assert loader.endswith("\n    linux.lab.ready()\n")


def test_source_is_only_read(src: Path, tree: Path) -> None:
    before = projects.files(src)
    assert wire(src, tree).returncode == 0
    assert projects.files(src) == before


def test_second_run_changes_nothing(src: Path, tree: Path) -> None:
    assert wire(src, tree).returncode == 0
    before = projects.files(tree)
    assert wire(src, tree).returncode == 0
    assert projects.files(tree) == before


def test_only_what_changed_is_written(src: Path, tree: Path) -> None:
    assert wire(src, tree).returncode == 0
    before = projects.files(tree)
    edit(src, "kernel/sys_ni.c", r"\Z", "/* more */\n")
    assert wire(src, tree).returncode == 0
    after = projects.files(tree)
    assert {name for name in after if after[name] != before[name]} == {
        "kernel",  # the folder's time
        "kernel/sys_ni.c",
    }


def test_wired_source_stays_as_it_is(src: Path, tree: Path, tmp_path: Path) -> None:
    """The tree has been wired before, by the same rules."""
    assert wire(src, tree).returncode == 0
    wired = tmp_path / "wired"
    shutil.copytree(tree, wired, symlinks=False)
    second = plant(wired, tmp_path / "second farm")
    result = wire(wired, second)
    assert (result.returncode, result.stderr) == (0, "")
    for name in TOUCHED + COMMANDS:
        assert (second / name).read_text() == (wired / name).read_text()
    for name in OURS:
        assert (second / name).resolve() == projects.ROOT / OURS[name]


def test_last_line_without_newline(src: Path, tree: Path) -> None:
    for name in ("mm/Makefile", "kernel/sys_ni.c", TABLE):
        (src / name).write_text((src / name).read_text().rstrip("\n"))
    assert wire(src, tree).returncode == 0
    for name in ("mm/Makefile", "kernel/sys_ni.c"):
        assert (tree / name).read_text().endswith("\n" + GAINS[name][0])
    assert f"\n{ENTRY}\n" in (tree / TABLE).read_text()


def test_number_taken(src: Path, tree: Path) -> None:
    """As it is from 6.5 on."""
    edit(src, TABLE, r"^512\t", "451\tcommon\tcachestat\t\tsys_cachestat\n512\t")
    assert_refused(src, tree, "451", "cachestat", "5.10 to 6.4")


def test_other_number(src: Path, tree: Path) -> None:
    edit(src, TABLE, r"^512\t", "449\t64\tsegment_info\t\tsys_segment_info\n512\t")
    assert_refused(src, tree, "449", "451", "segment_info")


@pytest.mark.parametrize(
    "name, anchor",
    [
        ("mm/Kconfig", r"^endmenu.*$"),
        ("include/linux/syscalls.h", r"^ \* Architecture-specific system calls$"),
        (TABLE, r"^\d+\t.*$"),
        ("mm/Makefile", r"(?s).+"),
    ],
)
def test_no_place_to_wire(src: Path, tree: Path, name: str, anchor: str) -> None:
    edit(src, name, anchor, "")
    assert_refused(src, tree, name, "5.10 to 6.4")


@pytest.mark.parametrize("name", TOUCHED)
def test_missing_file(src: Path, tree: Path, name: str) -> None:
    (src / name).unlink()
    assert_refused(src, tree, name, "5.10 to 6.4")


@pytest.mark.parametrize("folder", ["kernel", "scripts"])
def test_never_through_a_linked_folder(src: Path, tree: Path, folder: str) -> None:
    """The farm links this folder as a whole, so its files are SRC's own."""
    shutil.rmtree(tree / folder)
    (tree / folder).symlink_to(src / folder)
    before = projects.files(src)
    assert_refused(src, tree, folder, "scripts/farm.sh")
    assert projects.files(src) == before
