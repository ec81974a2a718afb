# SPDX-License-Identifier: GPL-2.0-only
"""lab trace pages: what the page allocator gives and gets back (mm/page_alloc.c).

Which block is taken and how it is split is decided in functions that are inlined
(rmqueue(), expand()). So an event is the difference between the free blocks before and
after a call. Meanwhile another CPU may have changed some, or the call freed memory first:
what it gave is told apart by its frame, all the rest is in the event's `zones`.

All that is given comes from __alloc_pages() or __alloc_pages_bulk(). All that is given back
goes through one of three functions: single pages and, since v5.14 (44042b449872), small
blocks through free_unref_page(), lists of pages through free_unref_page_list(), the
others through __free_pages_ok().
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...linux import gfp, kmalloc, lists, page
from ...linux.buddy import nr_orders
from ...linux.callers import Caller, by, in_context, outside
from ...linux.free_blocks import Block, FreeBlocks, buddies
from ...linux.page_alloc import order_to_pindex
from ...linux.processors import preempt_count
from ...linux.structs.lib import ListHead
from ...linux.structs.mm_types import Page
from ...result import Number, Size, Table, Words
from ...sizes import counted
from ...target import kernel, structs
from ...target.cstruct import Ptr
from ...target.memory import PAGE_SIZE
from ..callers import Callers
from ..engine import Timeline, Tracer
from ..event import Call, Moment, Point
from . import words
from .events import Allocated, BlockData, BulkAllocated, Failed, Freed, ListFreed
from .look import Changed, Eyes, data_of

MOST_PAGES = 1 << 16  # in one array
MOST_ORDER = 63  # more is an argument gone wild
SLAB = ("/mm/slub.c", "/mm/slab_common.c")
GIVES = ("/mm/page_alloc.c", "/mm/mempolicy.c")
# put_page() and the like, for whoever has a reference
ALLOCATOR = (*GIVES, *SLAB, "/mm/swap.c")
# Who is told bytes, as its first argument, and asks for a block
ASKED = (
    ("alloc_pages_exact",),
    ("kmalloc_order", "__kmalloc_large_node", "kmalloc_large"),
)
FREE_LIST, CPU_LIST, REFILL = "free list", "per-CPU list", "refill"
RECLAIM = "reclaim"


@dataclass
class Before:
    """What there was when a function was entered."""

    free: FreeBlocks
    callers: list[Caller]
    for_slab: bool
    context: str
    order: int = 0
    gfp: int = 0
    pfns: list[int] = field(default_factory=list)
    asked: int | None = None
    of_cpu: set[int] = field(default_factory=set)  # first frames of the CPU's lists
    array: Ptr[object] = Ptr(0)  # struct page **
    wanted: int = 0  # pages
    single: bool = False  # a page was given in another way, and told of
    to_cpu: bool = False  # it is given back to the CPU's list


class CallerRow(NamedTuple):
    """How much a function of the kernel got and gave back."""

    function: Words
    requests: Number
    allocated: Size
    freed: Size


class OrderRow(NamedTuple):
    """How requests for blocks of an order were answered, and such blocks given back."""

    order: Number
    requests: Number
    from_cpu: Number  # from a per-CPU list
    refills: Number  # that list was empty, and got more at once
    split: Number  # a larger block was split
    failed: Number
    frees: Number
    merged: Number  # with a buddy at least


class Pages(Timeline):
    """Blocks of pages: who asks, which block is split, what is merged."""

    name = "pages"
    follows = "blocks of page frames: who asks, the split, the merge, who gives back"

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self._callers = Callers()
        self._own_eyes: Eyes | None = None
        self._asked: dict[int, list[int]] = {}  # bytes, by struct task_struct *
        self._bulk: dict[int, Before] = {}  # by struct task_struct *
        self._orders: dict[int, Counter[str]] = {}  # members of OrderRow, by order
        self._by: dict[str, Counter[str]] = {}  # members of CallerRow, by function

    def points(self) -> list[Point]:
        asked = [
            Point(
                names,
                "how many bytes are asked for",
                self._asks,
                self._asked_for,
                self._asked_for,
                optional=True,
            )
            for names in ASKED
        ]
        return [
            *asked,
            Point(
                ("__alloc_pages", "__alloc_pages_nodemask"),
                "requests for pages",
                self._allocates,
                self._allocated,
            ),
            *self._bulk_points(),
            Point(
                ("free_unref_page",),
                "when a page is given back",
                self._frees_page,
                self._freed,
            ),
            Point(
                ("__free_pages_ok",),
                "when a block is given back",
                self._frees_block,
                self._freed,
            ),
            Point(
                ("free_unref_page_list",),
                "when many pages are given back",
                self._frees_list,
                self._freed_list,
            ),
        ]

    def _bulk_points(self) -> list[Point]:
        """Since v5.13: who lacks it does not lack an event."""
        if not structs.has_symbol("__alloc_pages_bulk"):
            return []
        return [
            Point(
                ("__alloc_pages_bulk",),
                "requests for many pages at once",
                self._allocates_bulk,
                self._allocated_bulk,
            )
        ]

    # --- What there is at a stop ------------------------------------------------

    @property
    def _eyes(self) -> Eyes:
        if self._own_eyes is None:
            self._own_eyes = Eyes()
        return self._own_eyes

    def _before(self, moment: Moment) -> Before:
        callers = self._callers.of(moment)
        first = outside(callers, GIVES)[:1]
        return Before(
            free=self._eyes.look(),
            callers=outside(callers, ALLOCATOR),
            for_slab=any(caller.file.endswith(SLAB) for caller in first),
            context=preempt_count(moment.cpu).context,
        )

    def _changed(self, before: Before) -> tuple[FreeBlocks, Changed]:
        after = self._eyes.look()
        return after, self._eyes.changed(before.free, after)

    def _common(self, before: Before, zones: Any) -> dict[str, Any]:
        """The members that all events have."""
        return {
            "order": before.order,
            "context": before.context,
            "callers": [caller.symbol for caller in before.callers],
            "zones": zones,
        }

    def _asked_data(self, before: Before, zones: Any) -> dict[str, Any]:
        """The members that all requests have."""
        kind = gfp.gfp_migratetype(before.gfp)
        return {
            **self._common(before, zones),
            "gfp": before.gfp,
            "gfp_names": gfp.format_flags(before.gfp, self._eyes.flags),
            "migratetype": self._eyes.type(kind),
            "asked": before.asked,
            "for_slab": before.for_slab,
        }

    def _count(self, before: Before, order: Counter[str], caller: Counter[str]) -> None:
        """Add to the rows of an order and of a caller."""
        self._orders.setdefault(before.order, Counter()).update(order)
        name = before.callers[0].name if before.callers else ""
        self._by.setdefault(name, Counter()).update(caller)

    # --- How many bytes are asked for -----------------------------------------------

    def _asks(self, moment: Moment) -> bool:
        self._asked.setdefault(moment.task.address, []).append(moment.argument(0))
        return True

    def _asked_for(self, moment: Moment, call: Call) -> None:
        asked = self._asked.get(call.entered.task.address)
        if asked:
            asked.pop()

    def _bytes(self, moment: Moment, order: int) -> int | None:
        """What the caller of the allocator was asked for, None if that is unknown."""
        asked = self._asked.get(moment.task.address)
        if asked and kmalloc.get_order(asked[-1]) == order:
            return asked[-1]
        return None

    # --- Requests --------------------------------------------------------------------

    def _allocates(self, moment: Moment) -> Before:
        before = self._before(moment)
        before.gfp = moment.argument(0) & 0xFFFF_FFFF
        before.order = min(moment.argument(1) & 0xFFFF_FFFF, MOST_ORDER)
        before.asked = self._bytes(moment, before.order)
        before.for_slab = before.for_slab and before.asked is None
        before.of_cpu = self._eyes.first_of_cpu(moment.cpu)
        return before

    def _allocated(self, moment: Moment, call: Call) -> None:
        before: Before = call.note
        bulk = self._bulk.get(moment.task.address)
        if bulk is not None:
            bulk.single = True
        after, changed = self._changed(before)
        if not moment.pointer:
            self._failed(moment, before, after, changed)
            return
        order, pfn = before.order, page.page_to_pfn(moment.pointer)
        number, zone = self._eyes.zone(pfn)
        block = before.free.around(pfn)
        kind, empty, halves, refill = "", list[int](), list[Block](), 0
        source = CPU_LIST if pfn in before.of_cpu else RECLAIM
        if block is not None and number is not None:
            lists_ = before.free.lists[number]
            kind = self._eyes.type(lists_.first[block]) if block in lists_.first else ""
            wanted = gfp.gfp_migratetype(before.gfp)
            orders = range(order, block.order)
            empty = [one for one in orders if wanted not in lists_.types(one)]
            halves = [half for half in changed.new if block.has(half.pfn)]
            if order_to_pindex(wanted, order) is not None:
                refill = max(changed.taken(zone) - (1 << order), 0)
            source = REFILL if refill else FREE_LIST
        data = self._asked_data(before, changed.zones)
        lines: list[str] = []
        if source == REFILL:
            lines = words.refill(changed.of(zone), moment.cpu)
        elif block is not None and block.order > order:
            none = words.empty(empty, data["migratetype"])
            given = words.frames(pfn, order)
            lines = words.split(block, kind, data["migratetype"], none, given, halves)
        from_ = {
            CPU_LIST: f", from CPU {moment.cpu}'s list",
            REFILL: f", for CPU {moment.cpu}'s list was empty",
            RECLAIM: ", which became free only now",
        }.get(source, "")
        event = Allocated(
            what=f"{words.frames(pfn, order)} of {zone}{words.size(order)}{from_}: "
            f"{data['gfp_names']}{words.asked(before.asked, order)}"
            f"{in_context(before.context)}"
            f"{', for a slab' * before.for_slab}{by(before.callers)}",
            lines=tuple(lines),
            **data,
            pfn=pfn,
            zone=zone,
            source=source,
            block=None
            if block is None
            else BlockData(pfn=block.pfn, order=block.order),
            block_type=kind,
            empty=empty,
            halves=data_of(halves),
            refill=refill,
        )
        how = Counter(
            requests=1,
            from_cpu=int(source == CPU_LIST),
            refills=int(source == REFILL),
            split=int(block is not None and block.order > order),
        )
        pages = 1 << order
        self._count(before, how, Counter(requests=1, allocated=pages * PAGE_SIZE))
        self.tracer.emit(moment, event)

    def _failed(
        self, moment: Moment, before: Before, after: FreeBlocks, changed: Changed
    ) -> None:
        order, largest = before.order, nr_orders() - 1
        why = "no block was to be had"
        if order > largest:
            why = f"the largest blocks have order {largest}"
        elif not any(any(lists_.nr_free[order:]) for lists_ in after.lists):
            why = "no block of that order or more is free"
        data = self._asked_data(before, changed.zones)
        event = Failed(
            what=f"nothing for order {order}: {why}; {data['gfp_names']}"
            f"{words.asked(before.asked, order)}{in_context(before.context)}"
            f"{', for a slab' * before.for_slab}{by(before.callers)}",
            **data,
        )
        self._count(before, Counter(requests=1, failed=1), Counter(requests=1))
        self.tracer.emit(moment, event)

    def _allocates_bulk(self, moment: Moment) -> Before:
        before = self._before(moment)
        before.gfp = moment.argument(0) & 0xFFFF_FFFF
        before.wanted = min(moment.argument(3) & 0xFFFF_FFFF, MOST_PAGES)
        before.array = moment.argument(5)
        before.pfns = self._array(before)
        self._bulk[moment.task.address] = before
        return before

    def _array(self, before: Before) -> list[int]:
        """The frames in an array of struct page *, which may have gaps."""
        if not before.array:
            return []
        data = kernel.memory().read(before.array, 8 * before.wanted)
        pages = struct.unpack(f"<{before.wanted}Q", data)
        return [page.page_to_pfn(Ptr[Page](one)) for one in pages if one]

    def _allocated_bulk(self, moment: Moment, call: Call) -> None:
        before: Before = call.note
        self._bulk.pop(moment.task.address, None)
        if before.single:
            return  # it fell back to __alloc_pages()
        _, changed = self._changed(before)
        had = set(before.pfns)
        pfns = [pfn for pfn in self._array(before) if pfn not in had]
        given = len(pfns) if before.array else moment.result
        taken = sum(changed.taken(zone) for zone in self._eyes.names)
        data = self._asked_data(before, changed.zones)
        refill = (
            f": {counted(taken, 'page')} went from the free lists to that list"
            if taken > 0
            else ""
        )
        event = BulkAllocated(
            what=f"{counted(given, 'page')} of {before.wanted} at once from CPU "
            f"{moment.cpu}'s list{refill}; {data['gfp_names']}"
            f"{in_context(before.context)}{by(before.callers)}",
            **data,
            wanted=before.wanted,
            given=given,
            pfns=pfns,
        )
        self._count(
            before,
            Counter(requests=1, from_cpu=1),
            Counter(requests=1, allocated=given * PAGE_SIZE),
        )
        self.tracer.emit(moment, event)

    # --- What is given back -----------------------------------------------------------

    def _frees_page(self, moment: Moment) -> Before:
        before = self._frees_block(moment)
        before.to_cpu = True
        if order_to_pindex(0, 1) is None:
            before.order = 0  # and there is no second argument
        return before

    def _frees_block(self, moment: Moment) -> Before:
        before = self._before(moment)
        before.pfns = [page.page_to_pfn(moment.argument(0))]
        before.order = min(moment.argument(1) & 0xFFFF_FFFF, MOST_ORDER)
        return before

    def _freed(self, moment: Moment, call: Call) -> None:
        before: Before = call.note
        (pfn,) = before.pfns
        order, (_, zone) = before.order, self._eyes.zone(pfn)
        after, changed = self._changed(before)
        block = after.around(pfn)
        merged = list[Block]()
        if block is not None:
            merged = buddies(Block(pfn, order), block, before.free)
        kept = before.to_cpu
        drained = max(-changed.taken(zone), 0) if kept else 0
        lines = []
        if merged and block is not None and not drained:
            lines.append(words.merge(merged, block))
        if drained:
            lines.append(words.drained(drained, moment.cpu))
        where = f" to CPU {moment.cpu}'s list" if kept else " to the free lists"
        event = Freed(
            what=f"{words.frames(pfn, order)} of {zone}{words.size(order)} back{where}"
            f"{in_context(before.context)}{by(before.callers)}",
            lines=tuple(lines),
            **self._common(before, changed.zones),
            pfn=pfn,
            zone=zone,
            to=CPU_LIST if kept else FREE_LIST,
            merged=data_of(merged),
            block=None
            if block is None
            else BlockData(pfn=block.pfn, order=block.order),
            drained=drained,
        )
        pages = 1 << order
        self._count(
            before,
            Counter(frees=1, merged=int(bool(merged))),
            Counter(freed=pages * PAGE_SIZE),
        )
        self.tracer.emit(moment, event)

    def _frees_list(self, moment: Moment) -> Before:
        before = self._before(moment)
        inside = structs.offsetof("struct page", "lru")
        head: Ptr[ListHead] = moment.argument(0)
        before.pfns = [
            page.page_to_pfn(Ptr[Page](link - inside))
            for link in lists.list_for_each(head)
        ]
        return before

    def _freed_list(self, moment: Moment, call: Call) -> None:
        before: Before = call.note
        if not before.pfns:
            return
        _, changed = self._changed(before)
        drained = max(-sum(changed.taken(zone) for zone in self._eyes.names), 0)
        lines = [words.drained(drained, moment.cpu)] if drained else []
        event = ListFreed(
            what=f"{counted(len(before.pfns), 'page')} at once back to CPU "
            f"{moment.cpu}'s list{in_context(before.context)}"
            f"{by(before.callers)}",
            lines=tuple(lines),
            **self._common(before, changed.zones),
            pfns=before.pfns,
            drained=drained,
        )
        freed = len(before.pfns) * PAGE_SIZE
        self._count(before, Counter(frees=len(before.pfns)), Counter(freed=freed))
        self.tracer.emit(moment, event)

    def summary(self) -> list[Any]:
        orders = [
            OrderRow(
                order=order,
                requests=found["requests"],
                from_cpu=found["from_cpu"],
                refills=found["refills"],
                split=found["split"],
                failed=found["failed"],
                frees=found["frees"],
                merged=found["merged"],
            )
            for order, found in sorted(self._orders.items())
        ]
        most = sorted(
            self._by.items(),
            key=lambda item: -(item[1]["allocated"] + item[1]["freed"]),
        )
        callers = [
            CallerRow(name, found["requests"], found["allocated"], found["freed"])
            for name, found in most
        ]
        parts: list[Any] = []
        if orders:
            parts.append(Table(OrderRow, "Blocks by order", orders))
            parts.append(Table(CallerRow, "Who asked and gave back", callers))
        return parts
