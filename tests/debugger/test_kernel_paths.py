# SPDX-License-Identifier: GPL-2.0-only
"""Files of the kernel that the lab's sources name, and constants of the kernel that they repeat."""

from __future__ import annotations

import re
from pathlib import Path

from lab.linux import files
from support.labs import ROOT

PATH = re.compile(r"(?<![\w/.])(?:[\w-]+/)+[\w-]+\.[chS]\b")


def test_paths_start_at_the_root_of_the_tree(kernel: Path) -> None:
    """It is arch/x86/mm/kaslr.c: mm/kaslr.c looks like a file in mm/, which is not there.

    Not every file is in every kernel. Headers are named as #include names them.
    """
    tree, found, wrong = kernel / "source", 0, []
    for file in sorted((ROOT / "gdb").rglob("*.py")):
        for path in PATH.findall(file.read_text()):
            if (tree / path).exists():
                found += 1
            elif (tree / "arch" / "x86" / path).exists():
                wrong.append(f"{file.relative_to(ROOT)}: {path} is in arch/x86")
    assert found > 100 and not wrong, "\n".join(wrong)


def test_open_files_that_a_process_may_have(kernel: Path) -> None:
    text = (kernel / "source" / "fs" / "file.c").read_text()
    found = re.search(r"sysctl_nr_open __read_mostly = (\d+)\*(\d+);", text)
    assert found and int(found[1]) * int(found[2]) == files.NR_OPEN
