# SPDX-License-Identifier: GPL-2.0-only
"""Reports as text for gdb's terminal, set with rich."""

from __future__ import annotations

import io
import os
import re
import sys
from textwrap import wrap
from typing import TypeAlias

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import gdb

from ..check.hit import Hit
from ..check.payload import MAX_AREAS, NAME_LEN, WORDS, Area, Mismatch, Walk, decode
from ..printable import one_line, text_of
from ..result import Part, Report, Sentence, Table as Found
from ..target import terminal
from . import tables

SENTENCE = 80  # columns of a sentence, on wider terminals too
NARROWEST = 100  # columns of a report that goes to a file or a pipe

Copies: TypeAlias = tuple[bytes, bytes, bytes | None]  # walked, kernel, delivered
Wrong: TypeAlias = set[tuple[str, str]]  # copy and field of each mismatch


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
    """Whether the output is a terminal, and how many columns it has."""
    tty = sys.__stdout__ is not None and os.isatty(1)
    width = int(gdb.parameter("width") or 0)
    if not tty or width < 40:
        # Some terminals, such as a serial line, report 0 columns
        width = (os.get_terminal_size(1).columns if tty else NARROWEST) or SENTENCE
    # gdb's TUI puts an empty line after one that is as wide as the terminal
    return tty, max(width - 1, 0) if tty else width


def in_colour() -> bool:
    """Whether to use colours: on a terminal, unless `set style enabled off`."""
    return _terminal()[0] and bool(gdb.parameter("style enabled"))


def columns() -> int:
    """How many columns the terminal has, 0 if there is none."""
    tty, width = _terminal()
    return width if tty else 0


def hit_parts(hit: Hit) -> list[object]:
    """The whole report of one hit."""
    parts: list[object] = [_heading(hit)]
    if hit.walk is not None and hit.buffer is not None:
        walk, buffer = hit.walk, hit.buffer
        wrong = {(mismatch.copy, mismatch.field) for mismatch in hit.mismatches}
        copies = (walk.data, buffer, hit.delivered)
        parts += [_words(copies, wrong), _areas(walk, copies, wrong), _rules(walk)]
    if hit.mismatches:
        parts.append(_mismatches(hit.mismatches))
    parts.append(verdict(hit))
    return parts


class Verdict(Text):
    """One line, never wrapped: scripts search for it."""


def verdict(hit: Hit) -> Verdict:
    """One line: what was checked, whether it passed, how long it took."""
    if hit.passed and hit.error:
        result = f"the call failed with {hit.error}; {hit.checks} checks passed"
        mark, style = "PASS", "yellow"
    elif hit.passed:
        result = f"{hit.checks} checks: walk, kernel and user copy agree"
        mark, style = "PASS", "bold green"
    else:
        result = f"{len(hit.mismatches)} of {hit.checks} checks failed"
        mark, style = "FAIL", "bold red"
    who = f"hit {hit.number}, {hit.task.comm} {hit.task.pid}"
    line = Verdict()
    line.append(mark, style)
    line.append(f"  {who}: {result}, {hit.verdict_ms:.1f} ms from stop to verdict")
    return line


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


def _words(copies: Copies, wrong: Wrong) -> Table:
    """One row for each word before the areas."""
    table = _table("field", "walked", "kernel", "delivered", "")
    for name in WORDS:
        bad = {copy for copy, field in wrong if field == name}
        row = [Text(_word_value(copy, name)) for copy in copies]
        for cell, copy in zip(row[1:], ("kernel", "delivered")):
            if copy in bad:
                cell.stylize("bold red")
        table.add_row(name, *row, _mark(bool(bad)))
    return table


def _areas(walk: Walk, copies: Copies, wrong: Wrong) -> Table:
    """One row for each area: the walked one, and how the copies differ from it."""
    table = _table("area", "walked", "name", "kernel", "delivered", "")
    table.columns[2].no_wrap, table.columns[2].overflow = False, "fold"
    walked_areas = decode(copies[0])[1]
    kernel, delivered = (
        decode(data)[1] if data is not None else None for data in copies[1:]
    )
    for i in range(MAX_AREAS):
        bad = {copy for copy, field in wrong if field.startswith(f"ma[{i}].")}
        if i >= min(walk.areas, MAX_AREAS) and not bad:
            continue
        walked = walked_areas[i]
        table.add_row(
            f"ma[{i}]",
            f"{walked.vm_start:x}-{walked.vm_end:x}",
            Text(name_text(walked.name)),
            _copy_text("kernel", walked, kernel, i, bad),
            _copy_text("delivered", walked, delivered, i, bad),
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
    differs = []
    if (area.vm_start, area.vm_end) != (walked.vm_start, walked.vm_end):
        differs.append(f"{area.vm_start:x}-{area.vm_end:x}")
    if area.name != walked.name:
        differs.append(repr(area.name.rstrip(b"\0"))[1:])
    return Text(" ".join(differs), "bold red")


def name_text(name: bytes) -> str:
    """A name of the payload as text, without its padding."""
    return text_of(name.split(b"\0")[0])


def _rules(walk: Walk) -> Table:
    table = _table("the area list", "")
    for rule in walk.invariants:
        table.add_row(rule.rule, _mark(not rule.holds))
    return table


def _mismatches(wrong: tuple[Mismatch, ...]) -> Table:
    table = _table("copy", "field", "offset", "expected", "found")
    for column in table.columns[3:]:
        column.no_wrap, column.overflow = False, "fold"
    for mismatch in wrong:
        table.add_row(
            mismatch.copy,
            mismatch.field,
            "" if mismatch.offset is None else str(mismatch.offset),
            escape(value_text(mismatch.expected)),
            Text(value_text(mismatch.found), "bold red"),
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
    """One line that counts all hits so far."""
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
