# SPDX-License-Identifier: GPL-2.0-only
"""lab read: bytes of any address space."""

from __future__ import annotations

from itertools import groupby

import gdb

from ..linux import pagewalk
from ..result import Drawing, Result
from ..sizes import rough_size, size_text
from ..target import kernel
from .base import LabCommand, canonical, number
from .page_tables import page_tables

MOST = 1 << 20  # bytes that are shown at once


class Read(LabCommand):
    """Bytes of any process's or the kernel's memory: lab read ADDRESS LENGTH [PID] [--json]

    In hexadecimal and as text; a star stands for lines like the one above. Works
    for processes that do not run just now, reads what PROT_NONE hides, and never
    brings a page in: of what is not there it says why, page by page.

    Examples: the arguments of process 1, and the kernel's banner.
        (gdb) lab read $lab_mm(1)->arg_start 32 1
        (gdb) lab read linux_banner 64
    """

    name = "read"

    def run(self, arguments: list[str]) -> Result:
        where, length, pid = self.take(arguments, "ADDRESS", "LENGTH", "[PID]")
        address, size = number(where, "address"), number(length, "length")
        if not 0 < size <= MOST:
            raise gdb.GdbError(
                f"LENGTH is {size}: give 1 to {MOST} bytes ({size_text(MOST)})."
            )
        pgd, whose = page_tables(address, pid)
        end = address + size - 1
        if end >> 64 or (end ^ address) >> 63:
            raise gdb.GdbError(
                f"{size} bytes from {address:#x} reach over the end of its half."
            )
        canonical(end, kernel.memory().levels)
        drawing = Drawing(f"{size} bytes in {whose}", [], [])
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
        return Result([drawing])


def _kind_of_piece(piece: pagewalk.Piece) -> tuple[bool, str]:
    """Pieces that are not there for one reason are told in one line."""
    return piece.data is None, piece.remark


def _missing_line(pieces: list[pagewalk.Piece]) -> str:
    size = sum(piece.size for piece in pieces)
    return f"{pieces[0].address:#018x}  {rough_size(size)}: {pieces[0].remark}"


def _piece_lines(piece: pagewalk.Piece) -> list[str]:
    """A piece as hexdump -C shows it."""
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
        text = "".join(chr(one) if 32 <= one < 127 else "." for one in data)
        lines.append(
            f"{piece.address + at:#018x}  {words[0]:<23}  {words[1]:<23}  |{text}|"
        )
    return lines
