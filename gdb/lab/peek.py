# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of any address space, page by page, and why a page is not there."""

from __future__ import annotations

from typing import Iterator, NamedTuple

from . import kernel, paging
from .memory import PAGE_SIZE, Fault


class Piece(NamedTuple):
    """Bytes, or the reason there are none, of one page or a part of it."""

    address: int
    size: int
    data: bytes | None
    remark: str  # the reason; for bytes what is worth knowing of the page


def pieces(pgd: int, address: int, size: int) -> Iterator[Piece]:
    """Read [address, address + size). Parameter: physical address of the top table.

    Reads what is present and what PROT_NONE only hides; never faults a page in.
    """
    while size:
        step = min(size, PAGE_SIZE - address % PAGE_SIZE)
        yield _piece(pgd, address, step)
        address += step
        size -= step


def _piece(pgd: int, address: int, size: int) -> Piece:
    walk = paging.walk(pgd, address)
    if walk.broken:
        return Piece(address, size, None, walk.broken)
    physical, remark = walk.physical, ""
    if physical is None:
        physical, remark = walk.kept, "PROT_NONE: kept, but nobody may touch it"
    if physical is None:
        return Piece(address, size, None, paging.explain(walk.last))
    try:
        buffer, offset = kernel.memory().physical.locate(physical, size)
    except Fault as fault:
        return Piece(address, size, None, f"it is mapped, but {fault}")
    return Piece(address, size, bytes(buffer[offset : offset + size]), remark)
