# SPDX-License-Identifier: GPL-2.0-only
"""The README and the pages in notes/: every page is linked, and every page is tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTES = sorted((ROOT / "notes").rglob("*.md"))
README = ROOT / "README.md"
PAGES = [*NOTES, *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
SESSION = re.compile(r"^```gdb((?: \w+)*)\n\(gdb\) ", re.M)

# Pages without a session, and the test that reads each of them.
TESTED_ELSEWHERE = {"notes/schemas.md": "tests/debugger/test_schemas.py"}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def links(page: Path) -> set[Path]:
    """The files that a page links to."""
    text = page.read_text(encoding="utf-8")
    return {(page.parent / target).resolve() for target in LINK.findall(text)}


def test_the_readme_fits_three_screens() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 100


def test_the_readme_links_every_page() -> None:
    missing = {*PAGES} - {README} - links(README)
    assert not missing, f"README.md does not link {sorted(map(name, missing))}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    for target in links(page):
        assert target.exists(), f"{name(page)} links to {target}, which is not there"


@pytest.mark.parametrize("page", NOTES, ids=name)
def test_a_page_is_replayed_or_read_by_a_test(page: Path) -> None:
    if SESSION.search(page.read_text(encoding="utf-8")):
        assert name(page) not in TESTED_ELSEWHERE
        return
    test = TESTED_ELSEWHERE.get(name(page))
    assert test, f"{name(page)} shows no session in a ```gdb block: no test replays it"
    assert f'"{page.name}"' in (ROOT / test).read_text(encoding="utf-8")


def test_the_commands_have_a_page() -> None:
    """Each `lab X` is on a reference page, in a session or in a table."""
    pages = (ROOT / "notes" / "reference").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    code = " ".join(re.findall(r"`([^`\n]+)`", text))
    for file in (ROOT / "gdb" / "lab" / "commands").glob("*.py"):
        for command in re.findall(r'^    name = "(\w+)"$', file.read_text(), re.M):
            assert re.search(
                rf"\b{command}\b", code
            ), f"no reference page shows lab {command}"


def test_the_examples_of_style_are_the_code() -> None:
    """Each example in CONTRIBUTING.md is in the package, word for word."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    package = [file.read_text() for file in (ROOT / "gdb" / "lab").rglob("*.py")]
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert len(examples) >= 3
    for example in examples:
        assert any(example in code for code in package), f"no file has\n{example}"


def test_the_files_of_the_architecture_exist() -> None:
    """In the tables of "Where to look": paths from the root, where X stands for any name."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = text.split("## Where to look")[1].split("\n## ")[0]
    cells = re.findall(r"^\| .* \| (`.*`) \|$", rows, re.M)
    assert len(cells) > 80
    for cell in cells:
        file, *more = re.findall(r"`([^`]+)`", cell)
        for name in (file, *(word for word in more if word.endswith(".py"))):
            there = list(ROOT.glob(re.sub(r"\bX\b", "*", name)))
            assert there, f"ARCHITECTURE.md names {name}, which is not there"


def test_what_the_architecture_names_in_a_file_is_there() -> None:
    """`FILE` `NAME` or `FILE` `NAME()` in its tables: the file has that name."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `([\w./-]+)` `(\w+)(?:\(\))?` \|$", text, re.M)
    assert named
    for file, word in named:
        code = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(
            rf"^(def |class )?{word}\b", code, re.M
        ), f"{file} has no {word}"


def test_the_architecture_leads_to_every_file() -> None:
    """Of the package, the scripts, the guest and the tests' support, each by its name."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = ("gdb/lab", "scripts", "initramfs", "user", "kernel", "tests/support")
    rooms += ("tests/bench",)
    files = [
        path
        for room in rooms
        for path in sorted((ROOT / room).rglob("*"))
        if path.is_file() and "__" not in str(path.relative_to(ROOT))
    ]
    alike = (
        "commands",
        "reports",
        "structs",
    )  # found by the name of a command or header
    left = [
        str(path.relative_to(ROOT))
        for path in files
        if path.parent.name not in alike
        and not re.search(rf"\b{re.escape(path.name)}\b", page)
    ]
    assert len(files) > 250 and left == []
