# SPDX-License-Identifier: GPL-2.0-only
"""Tables of the lab commands as lines of text, fast enough for 65,000 rows.

rich measures and wraps every cell, which takes half a millisecond per row. Here a whole
column becomes text at once, and one format string pads each row.
"""

from __future__ import annotations

from typing import Any, Callable, Iterator

from rich.cells import cell_len

from ..printable import one_line
from ..result import Column, Table
from ..sizes import size_text

BETWEEN = "  "
RIGHT = ("number", "size")
FOLDED = ("text", "flags", "check")
NARROWEST_TEXT = 16  # characters; no column is folded to fewer
BOLD, DIM, PLAIN = "\033[1m", "\033[2m", "\033[0m"
RED, GREEN, YELLOW = "\033[1;31m", "\033[32m", "\033[33m"


def lines(table: Table[Any], width: int, colour: bool) -> Iterator[str]:
    """The heading and rows of a table.

    :param width: of the terminal; wider rows are folded in columns of text. 0: never
    """
    kinds = [column.kind for column in table.columns]
    texts = [
        list(map(_formatter(column), (row[i] for row in table.rows)))
        for i, column in enumerate(table.columns)
    ]
    heads = [column.name.replace("_", " ") for column in table.columns]
    plain = ["".join(column).isascii() for column in texts]
    widths = [
        max(map(len if is_plain else _columns, column), default=0)
        for column, is_plain in zip(texts, plain)
    ]
    widths = [max(len(head), size) for head, size in zip(heads, widths)]
    narrowed = _fold(widths, kinds, width)
    is_wide = _is_wide(
        [column for column, is_plain in zip(texts, plain) if not is_plain]
    )
    form = BETWEEN.join(
        f"%{'' if kind in RIGHT else '-'}{size}s" for kind, size in zip(kinds, widths)
    )
    yield styled((form % tuple(heads)).rstrip(), BOLD, colour)
    yield styled("─" * (sum(widths) + len(BETWEEN) * (len(widths) - 1)), DIM, colour)
    has_checks = colour and "check" in kinds
    for row in zip(*texts):
        if (
            is_wide
            and not "".join(row).isascii()
            or narrowed
            and any(len(row[i]) > widths[i] for i in narrowed)
        ):
            yield from _folded(row, kinds, widths)
        elif has_checks:
            yield _checked(form % row, row, kinds)
        else:
            yield (form % row).rstrip()


class _Texts(dict[Any, str]):
    """The texts of a column's values, each formatted once."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __missing__(self, value: object) -> str:
        text = self[value] = _text(self.kind, value)
        return text


def _formatter(column: Column) -> Callable[[object], str]:
    """A function that formats a column's values."""
    if column.kind == "address":
        return lambda value: "-" if value is None else f"{value:#x}"
    text = _Texts(column.kind).__getitem__

    def list_text(value: object) -> str:
        return text(tuple(value) if isinstance(value, list) else value)

    return list_text if column.kind == "flags" else text


def _text(kind: str, value: Any) -> str:
    if value is None:
        return "-"
    if kind == "size":
        return size_text(value)
    if kind == "flags":
        return one_line(" ".join(value))
    if kind == "check":
        return "ok" if value is True else one_line(str(value))
    return one_line(str(value))


def _columns(text: str) -> int:
    """The number of columns a text takes on a terminal."""
    return len(text) if text.isascii() else cell_len(text)


def _is_wide(texts: list[list[str]]) -> bool:
    """Whether any text has characters that are not one column wide."""
    return any(
        not text.isascii() and cell_len(text) != len(text)
        for column in texts
        for text in column
    )


def styled(text: str, style: str, colour: bool) -> str:
    return f"{style}{text}{PLAIN}" if colour and style else text


def _checked(line: str, row: tuple[str, ...], kinds: list[str]) -> str:
    """A row with a check that holds in green, or the reason it does not in red."""
    for kind, text in zip(kinds, row):
        if kind == "check":
            style = GREEN if text == "ok" else RED
            before, _, after = line.rpartition(text)
            line = f"{before}{style}{text}{PLAIN}{after}"
    return line.rstrip()


def _fold(widths: list[int], kinds: list[str], width: int) -> list[int]:
    """Narrow the widest columns of text until a row fits; return the narrowed ones."""
    before = list(widths)
    room = width - len(BETWEEN) * (len(widths) - 1)
    can = [i for i, kind in enumerate(kinds) if kind in FOLDED]
    while width and can and sum(widths) > room:
        widest = max(can, key=lambda i: widths[i])
        if widths[widest] <= NARROWEST_TEXT:
            break
        widths[widest] -= 1
    return [i for i in can if widths[i] < before[i]]


def _folded(row: tuple[str, ...], kinds: list[str], widths: list[int]) -> Iterator[str]:
    """A row, on as many lines as its longest cell needs."""
    cells = [_pieces(text, size) for text, size in zip(row, widths)]
    for i in range(max(map(len, cells))):
        line = []
        for cell, kind, size in zip(cells, kinds, widths):
            text = cell[i] if i < len(cell) else ""
            padding = " " * (size - _columns(text))
            line.append(padding + text if kind in RIGHT else text + padding)
        yield BETWEEN.join(line).rstrip()


def _pieces(text: str, size: int) -> list[str]:
    """A text in pieces of at most size columns, cut at spaces where possible."""
    pieces = []
    while _columns(text) > size:
        end = size
        while _columns(text[:end]) > size:
            end -= 1
        space = text.rfind(" ", 1, end + 1)
        cut = space if space > 0 else end
        pieces.append(text[:cut])
        text = text[cut:].removeprefix(" ")
    return [*pieces, text]
