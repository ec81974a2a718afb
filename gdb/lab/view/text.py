# SPDX-License-Identifier: GPL-2.0-only
"""Reports as text for gdb's terminal, set with rich."""

from __future__ import annotations

import io
import os
import re
import sys
from textwrap import wrap

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import gdb

from ..check.hit import Hit
from ..check.payload import MAX_AREAS, NAME_LEN, WORDS, Area, Mismatch, decode
from ..printable import one_line, text_of
from ..result import Part, Report, Sentence, Table as Found
from ..target import terminal
from . import tables

SENTENCE = 80  # columns of a sentence, on wider terminals too
NARROWEST = 100  # columns a report needs when nobody looks at a terminal


def show(*parts: object) -> None:
    """Print rich renderables through gdb, in colour only on a terminal."""
    tty, width = _terminal()
    out = io.StringIO()
    console = Console(
        file=out,
        force_terminal=tty and bool(gdb.parameter("style enabled")),
        width=width,
        highlight=False,
    )
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Verdict))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    terminal.write_styled(re.sub(r"\n{3,}", "\n\n", "\n".join(lines) + "\n"))


def _terminal() -> tuple[bool, int]:
    """Does a person look, and how many columns are there?"""
    tty = sys.__stdout__ is not None and os.isatty(1)
    width = int(gdb.parameter("width") or 0)
    if not tty or width < 40:
        # Some terminals, such as a serial line, say that they have no columns
        width = (os.get_terminal_size(1).columns if tty else NARROWEST) or SENTENCE
    # In gdb's TUI a line as wide as the terminal has an empty one behind it
    return tty, max(width - 1, 0) if tty else width


def in_colour() -> bool:
    """Is there a terminal, and does the person want colours on it?"""
    return _terminal()[0] and bool(gdb.parameter("style enabled"))


def columns() -> int:
    """How many columns the terminal has, 0 if there is none."""
    tty, width = _terminal()
    return width if tty else 0


def hit_parts(hit: Hit) -> list[object]:
    """The whole report of one hit."""
    parts: list[object] = [_heading(hit)]
    if hit.walk is not None and hit.buffer is not None:
        wrong = {(m.copy, m.field) for m in hit.mismatches}
        parts += [_words(hit, wrong), _areas(hit, wrong), _rules(hit)]
    if hit.mismatches:
        parts.append(_mismatches(hit.mismatches))
    parts.append(verdict(hit))
    return parts


class Verdict(Text):
    """One line, however long: a script looks for it."""


def verdict(hit: Hit) -> Verdict:
    """One line: what was checked, whether it holds, how long it took."""
    if hit.passed and hit.error:
        said = f"the call failed with {hit.error}; {hit.checks} checks passed"
        mark, style = "PASS", "yellow"
    elif hit.passed:
        said = f"{hit.checks} checks: walk, kernel and user copy agree"
        mark, style = "PASS", "bold green"
    else:
        said = f"{len(hit.mismatches)} of {hit.checks} checks failed"
        mark, style = "FAIL", "bold red"
    who = f"hit {hit.number}, {hit.task.comm} {hit.task.pid}"
    return Verdict.assemble(
        (mark, style), f"  {who}: {said}, {hit.verdict_ms:.1f} ms from stop to verdict"
    )


def _heading(hit: Hit) -> Text:
    task = hit.task
    text = Text.assemble(
        ("\nsegment_info", "bold"),
        f" hit {hit.number}: {task.comm}, pid {task.tgid}, tid {task.pid}, "
        f"cpu {hit.cpu}\n",
        f"task_struct {task.address:#x}, mm_struct {hit.mm:#x}, "
        f"user buffer {hit.info:#x}\n",
    )
    result = hit.error or str(hit.result)
    text.append(f"returned {result}")
    if hit.walk is not None:
        text.append(f"; {hit.walk.areas} areas")
    return text


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _mark(wrong: bool) -> Text:
    return Text("WRONG", "bold red") if wrong else Text("ok", "green")


def _word_value(data: bytes | None, name: str) -> str:
    if data is None:
        return "-"
    value = decode(data)[0][name]
    return str(value) if name == "ma_size" else f"{value:#x}"


def _words(hit: Hit, wrong: set[tuple[str, str]]) -> Table:
    table = _table("field", "walked", "kernel", "delivered", "")
    copies = (hit.walk.data, hit.buffer, hit.delivered)
    for name in WORDS:
        bad = {copy for copy, field in wrong if field == name}
        row = [Text(_word_value(copy, name)) for copy in copies]
        for cell, copy in zip(row[1:], ("kernel", "delivered")):
            if copy in bad:
                cell.stylize("bold red")
        table.add_row(name, *row, _mark(bool(bad)))
    return table


def _areas(hit: Hit, wrong: set[tuple[str, str]]) -> Table:
    """One row an area: the walked one, and in what the copies differ from it."""
    table = _table("area", "walked", "name", "kernel", "delivered", "")
    table.columns[2].no_wrap, table.columns[2].overflow = False, "fold"
    copies = [
        decode(data)[1] if data is not None else None
        for data in (hit.walk.data, hit.buffer, hit.delivered)
    ]
    for i in range(MAX_AREAS):
        bad = {copy for copy, field in wrong if field.startswith(f"ma[{i}].")}
        if i >= min(hit.walk.areas, MAX_AREAS) and not bad:
            continue
        walked = copies[0][i]
        table.add_row(
            f"ma[{i}]",
            f"{walked.vm_start:x}-{walked.vm_end:x}",
            Text(name_text(walked.name)),
            *(
                _copy_text(copy, walked, copies[j], i, bad)
                for j, copy in ((1, "kernel"), (2, "delivered"))
            ),
            _mark(bool(bad)),
        )
    return table


def _copy_text(
    copy: str, walked: Area, areas: list[Area] | None, i: int, bad: set[str]
) -> Text:
    if areas is None:
        return Text("-")
    if copy not in bad:
        return Text("the same", "dim")
    area = areas[i]
    said = []
    if (area.vm_start, area.vm_end) != (walked.vm_start, walked.vm_end):
        said.append(f"{area.vm_start:x}-{area.vm_end:x}")
    if area.name != walked.name:
        said.append(repr(area.name.rstrip(b"\0"))[1:])
    return Text(" ".join(said), "bold red")


def name_text(name: bytes) -> str:
    """A name of the payload as text, without its padding."""
    return text_of(name.split(b"\0")[0])


def _rules(hit: Hit) -> Table:
    table = _table("the area list", "")
    for rule in hit.walk.invariants:
        table.add_row(rule.rule, _mark(not rule.holds))
    return table


def _mismatches(wrong: tuple[Mismatch, ...]) -> Table:
    table = _table("copy", "field", "offset", "expected", "found")
    for column in table.columns[3:]:
        column.no_wrap, column.overflow = False, "fold"
    for one in wrong:
        table.add_row(
            one.copy,
            one.field,
            "" if one.offset is None else str(one.offset),
            escape(value_text(one.expected)),
            Text(value_text(one.found), "bold red"),
        )
    return table


def value_text(value: int | bytes | str) -> str:
    """A compared value: an address in hex, a name quoted with its padding."""
    if isinstance(value, bytes):
        quoted = value.rstrip(b"\0")
        padding = NAME_LEN - len(quoted)
        return f"{repr(quoted)[1:]}" + (f" + {padding} NUL" if padding else "")
    return f"{value:#x}" if isinstance(value, int) else value


def totals(hits: list[Hit]) -> str:
    """One line about all hits so far."""
    failed = sum(not hit.passed for hit in hits)
    checks = sum(hit.checks for hit in hits)
    return f"{len(hits)} hit{'s' * (len(hits) != 1)}, {len(hits) - failed} passed, {failed} failed, {checks} checks"


def show_report(report: Report) -> None:
    """Print what a lab command found, as text."""
    tty, width = _terminal()
    colour = tty and bool(gdb.parameter("style enabled"))
    blocks = [_block(part, width if tty else 0, colour) for part in report.parts()]
    terminal.write_styled("\n\n".join(filter(None, blocks)) + "\n")


def show_sentence(sentence: str) -> None:
    """Print one sentence."""
    show_report(Sentence(sentence))


def _block(part: Part, width: int, colour: bool) -> str:
    """One part of a result as lines."""
    if isinstance(part, str):
        return "\n".join(wrap(one_line(part), min(width or SENTENCE, SENTENCE)))
    style = (tables.BOLD, tables.RED) if colour else ("", "")
    end = tables.PLAIN if colour else ""
    block = [f"{style[0]}{one_line(part.title)}{end}"] if part.title else []
    if isinstance(part, Found):
        block += tables.lines(part, width, colour)
    else:
        block += map(one_line, part.lines)
    if part.broken:
        block.append(f"{style[1]}The walk ended early: {one_line(part.broken)}{end}")
    return "\n".join(block)
