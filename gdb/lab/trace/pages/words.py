# SPDX-License-Identifier: GPL-2.0-only
"""What the events of lab trace pages say in words."""

from __future__ import annotations

from typing import Sequence

from ...linux.free_blocks import Block
from ...sizes import counted, size_text
from ...target.memory import PAGE_SIZE
from .events import BlockData

MOST_ROWS = 8  # of a drawing


def frames(pfn: int, order: int) -> str:
    """frame 0x1234, frames 0x1240 to 0x125f."""
    if not order:
        return f"frame {pfn:#x}"
    return f"frames {pfn:#x} to {pfn + (1 << order) - 1:#x}"


def size(order: int) -> str:
    """How large a block is, "" for a page."""
    return f" (order {order}, {size_text(PAGE_SIZE << order)})" if order else ""


def asked(bytes_: int | None, order: int) -> str:
    """132 KiB are asked for, 124 KiB of the block wasted."""
    if bytes_ is None:
        return ""
    if bytes_ > PAGE_SIZE << order:
        return f" for {size_text(bytes_)}"
    wasted = (PAGE_SIZE << order) - bytes_
    lost = f"{size_text(wasted)} of them wasted" if wasted else "nothing wasted"
    return f" for {size_text(bytes_)}, {lost}"


def empty(orders: Sequence[int], kind: str) -> str:
    """Which lists were empty."""
    if not orders:
        return ""
    if len(orders) == 1:
        return f"no {kind} block of order {orders[0]} was free"
    return f"no {kind} blocks of orders {orders[0]} to {orders[-1]} were free"


def split(
    block: Block, kind: str, wanted: str, none: str, given: str, halves: Sequence[Block]
) -> list[str]:
    """How a larger block was split.

    :param kind: the migrate type of the list it was on, "" if it was not the first of one
    :param wanted: the migrate type that was asked for
    :param none: which lists were empty
    :param given: which frames the caller got
    """
    whose = f"the first {kind} block of order {block.order}" if kind else "a block"
    if kind and kind != wanted:
        whose += f", a fallback for {wanted},"
    why = f"{none}, so " if none else ""
    room = size_text(PAGE_SIZE << block.order)
    rows = [f"{given} given", *(f"{_row(half)} put back" for half in halves)]
    return [f"{why}{whose} is split, at {block.pfn:#x}, {room}:", *_drawn(rows)]


def refill(
    changed: tuple[Sequence[BlockData], Sequence[BlockData]], cpu: int
) -> list[str]:
    """What a CPU's list got of the free lists: rmqueue_bulk()."""
    gone, new = changed
    pages = sum(1 << one.order for one in gone) - sum(1 << one.order for one in new)
    rows = [f"{_row(one)} taken" for one in gone]
    rows += [f"{_row(one)} put back" for one in new]
    if len(rows) > MOST_ROWS:
        rows[MOST_ROWS - 1 :] = [f"and {len(rows) - MOST_ROWS + 1} more blocks"]
    return [
        f"{counted(pages, 'page')} went from the free lists to CPU {cpu}'s list:",
        *_drawn(rows),
    ]


def _row(block: Block | BlockData) -> str:
    return f"{frames(block.pfn, block.order)}: order {block.order}, " + (
        f"{size_text(PAGE_SIZE << block.order)}"
    )


def _drawn(rows: Sequence[str]) -> list[str]:
    return [f"  {'└' if row is rows[-1] else '├'} {row}" for row in rows]


def merge(merged: Sequence[Block], block: Block) -> str:
    """With which buddies a block became a larger one."""
    with_ = ", ".join(f"{one.pfn:#x} (order {one.order})" for one in merged)
    return (
        f"merged with {with_}: now a block of order {block.order} at {block.pfn:#x}, "
        f"{size_text(PAGE_SIZE << block.order)}"
    )


def drained(pages: int, cpu: int) -> str:
    """A CPU's list was too long."""
    return f"CPU {cpu}'s list was full: {counted(pages, 'page')} went to the free lists"
