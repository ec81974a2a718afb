# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of any address space."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ..linux import pagewalk
from ..result import Drawing, Report
from ..sizes import rough_size


@dataclass
class ReadReport(Report, schema="read"):
    """The bytes as a hex dump; where there are none, why."""

    bytes: Drawing[list[dict[str, Any]]]


def describe(pgd: int, whose: str, address: int, size: int) -> ReadReport:
    """Read size bytes through page tables.

    :param pgd: physical address of the top table
    :param whose: memory it is, in words
    """
    data: list[dict[str, Any]] = []
    drawing = Drawing(f"{size} bytes in {whose}", [], data)
    pieces = list(pagewalk.pieces(pgd, address, size))
    for piece in pieces:
        drawing.data.append(
            {
                "address": piece.address,
                "size": piece.size,
                "bytes": None if piece.data is None else piece.data.hex(),
                "remark": piece.remark,
            }
        )
    for (missing, _), run in groupby(pieces, _kind_of_piece):
        same = list(run)
        if missing:
            drawing.lines.append(_missing_line(same))
        else:
            for piece in same:
                drawing.lines += _piece_lines(piece)
    return ReadReport(drawing)


def _kind_of_piece(piece: pagewalk.Piece) -> tuple[bool, str]:
    """Neighbours that are missing for the same reason make one line."""
    return piece.data is None, piece.remark


def _missing_line(pieces: list[pagewalk.Piece]) -> str:
    size = sum(piece.size for piece in pieces)
    return f"{pieces[0].address:#018x}  {rough_size(size)}: {pieces[0].remark}"


def _piece_lines(piece: pagewalk.Piece) -> list[str]:
    """The lines of a piece, as hexdump -C has them."""
    assert piece.data is not None
    lines = [f"({piece.remark})"] if piece.remark else []
    before, is_starred = b"", False
    for at in range(0, piece.size, 16):
        data = piece.data[at : at + 16]
        if data == before and at + 16 < piece.size:
            if not is_starred:
                lines.append("*")
            is_starred = True
            continue
        before, is_starred = data, False
        words = data[:8].hex(" "), data[8:].hex(" ")
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
        lines.append(
            f"{piece.address + at:#018x}  {words[0]:<23}  {words[1]:<23}  |{text}|"
        )
    return lines
