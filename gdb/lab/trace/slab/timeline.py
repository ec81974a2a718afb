# SPDX-License-Identifier: GPL-2.0-only
"""lab trace slab: what kmalloc() and kmem_cache_alloc() give and get back (mm/slub.c).

The timeline stops where they return, and where something is given back, whoever does
that: so it knows what is left at the end. Whether a slab is made or given back meanwhile
is seen where that happens. A size that is a constant may not be passed to any function:
include/linux/slab.h chooses the cache when the caller is compiled. kmalloc_trace() is told
it; before v6.1 only kernels with CONFIG_TRACING have kmem_cache_alloc_trace() for that.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any, Iterator, NamedTuple

from ...linux import gfp, kmalloc, page, slub
from ...linux.callers import Caller, by, in_context, outside
from ...linux.processors import preempt_count
from ...linux.structs.slub import KmemCache
from ...result import Number, Size, Table, Words
from ...sizes import counted, size_text
from ...target import kernel, structs
from ...target.cstruct import Ptr
from ...target.memory import PAGE_SIZE
from ..callers import Callers
from ..engine import Timeline, Tracer
from ..event import Call, Event, Moment, Point
from .events import (
    Allocated,
    BulkAllocated,
    BulkFreed,
    DoubleFree,
    Failed,
    Freed,
    NewSlab,
    SlabFreed,
    UseAfterFree,
)
from .freed import FreeObjects, Written

ALLOCATOR = ("/mm/slub.c", "/mm/slab_common.c")
HELPERS = (*ALLOCATOR, "/mm/util.c")  # kmemdup(), kstrdup(), kvmalloc()
MOST_OBJECTS = 1 << 12  # in one array
LARGE = ""  # the cache of what the page allocator gives
ZERO_SIZE_PTR = 16
BULK = "kmem_cache_alloc_bulk"


class Form(NamedTuple):
    """Which arguments of a function tell what is asked for, from 0; None for none."""

    functions: tuple[str, ...]
    cache: int | None
    size: int | None
    gfp: int


# Of all kernels; those that one lacks are inlined there, or others of these
FORMS = (
    Form(("kmem_cache_alloc",), cache=0, size=None, gfp=1),
    Form(("kmem_cache_alloc_node",), cache=0, size=None, gfp=1),
    Form(("kmem_cache_alloc_lru",), cache=0, size=None, gfp=2),
    Form(("kmalloc_trace", "kmem_cache_alloc_trace"), cache=0, size=2, gfp=1),
    Form(("kmalloc_node_trace", "kmem_cache_alloc_node_trace"), cache=0, size=3, gfp=1),
    Form(("__kmalloc",), cache=None, size=0, gfp=1),
    Form(("__kmalloc_node",), cache=None, size=0, gfp=1),
    Form(("__kmalloc_track_caller",), cache=None, size=0, gfp=1),
    Form(("__kmalloc_node_track_caller",), cache=None, size=0, gfp=1),
    Form(("kmalloc_large", "kmalloc_order"), cache=None, size=0, gfp=1),
    Form(("kmalloc_large_node",), cache=None, size=0, gfp=1),
)


@dataclass
class Request:
    """A request that has not been answered."""

    asked: int | None
    gfp: int
    context: str
    callers: list[Caller]
    array: Ptr[object] = Ptr(0)  # void **, of several objects
    new_slab: bool = False


@dataclass(frozen=True)
class Live:
    """An object that was allocated and not given back."""

    cache: str
    given: int
    caller: str
    number: int  # of the event


class CacheRow(NamedTuple):
    """How much of a cache was asked for and given back."""

    cache: Words
    allocations: Number
    frees: Number
    given: Size
    wasted: Size  # where it is known what was asked for
    new_slabs: Number


class LeftRow(NamedTuple):
    """What a function got and was not given back."""

    caller: Words
    cache: Words
    objects: Number
    given: Size


class BugRow(NamedTuple):
    """A free object that was written to, found at the end."""

    object: Words
    cache: Words
    what: Words
    freed: Number  # event
    freed_by: Words


class Slab(Timeline):
    """Objects of caches: asked, given, wasted, freed."""

    name = "slab"
    follows = "kmalloc(), kmem_cache_alloc() and what frees: asked, given, wasted"

    def __init__(self, tracer: Tracer, caches: frozenset[str] | None = None) -> None:
        """
        :param caches: their names, None for all
        """
        super().__init__(tracer)
        slub.check_slub()
        self._wanted = caches
        self._callers = Callers()
        self._flags: list[tuple[int, str]] = []
        self._open: dict[int, list[Request]] = {}  # by struct task_struct *
        self._live: dict[int, Live] = {}  # by address
        self._free = FreeObjects()
        self._broken: set[int] = set()  # slabs whose damage was told
        self._rows: dict[str, Counter[str]] = {}  # members of CacheRow, by cache

    def points(self) -> list[Point]:
        asked = [
            Point(
                form.functions,
                "some requests",
                partial(self._asks, form),
                self._given,
                self._task_ends,
            )
            for form in FORMS
            if any(map(structs.has_symbol, form.functions))
        ]
        if structs.has_symbol(BULK):
            asked.append(Point((BULK,), "objects", self._asks_many, self._given_many))
        return [
            *asked,
            Point(("kfree",), "when memory is freed", self._kfree, everyone=True),
            Point(
                ("kmem_cache_free",),
                "when an object is freed",
                lambda moment: self._frees(moment, moment.argument(1)),
                everyone=True,
            ),
            Point(
                ("kmem_cache_free_bulk",),
                "when objects are freed",
                self._frees_many,
                everyone=True,
                optional=True,
            ),
            Point(
                ("allocate_slab", "new_slab"),
                "when a slab is made",
                lambda moment: moment.argument(0),
                self._new_slab,
                optional=True,
            ),
            Point(
                ("discard_slab", "free_slab", "__free_slab"),
                "when a slab is given back",
                self._slab_freed,
                optional=True,
            ),
        ]

    # --- What is told of each event ------------------------------------------------

    def _is_wanted(self, cache: str) -> bool:
        return self._wanted is None or cache in self._wanted

    def _names(self, gfp_: int) -> str:
        self._flags = self._flags or gfp.names()
        return gfp.format_flags(gfp_, self._flags)

    def _look(self, moment: Moment) -> list[Caller]:
        """Who called; and tell what was written to free objects before."""
        callers = outside(self._callers.of(moment), HELPERS)
        for written in self._free.written():
            self._written(moment, written)
        return callers

    def _row(self, cache: str) -> Counter[str]:
        return self._rows.setdefault(cache or "page allocator", Counter())

    def _emit(self, moment: Moment, event: Event) -> int:
        """Emit an event and return its number."""
        self.tracer.emit(moment, event)
        return len(self.tracer.entries)

    # --- Requests --------------------------------------------------------------------

    def _asks(self, form: Form, moment: Moment) -> Request | None:
        callers = self._callers.of(moment)
        if form.functions[0] == "kmalloc_large" and callers:
            if callers[0].file.endswith(ALLOCATOR):
                return None  # __kmalloc() asks, which is told already
        asked = None
        if form.size is not None:
            asked = int(moment.argument(form.size))
        elif form.cache is not None:
            cache = self._cache(moment.argument(form.cache))
            asked = _object_size(cache)
        for written in self._free.written():
            self._written(moment, written)
        request = Request(
            asked=asked,
            gfp=moment.argument(form.gfp) & 0xFFFF_FFFF,
            context=preempt_count(moment.cpu).context,
            callers=outside(callers, HELPERS),
        )
        self._open.setdefault(moment.task.address, []).append(request)
        return request

    def _cache(self, address: Ptr[Any]) -> KmemCache:
        return KmemCache(kernel.memory(), Ptr[KmemCache](address))

    def _task_ends(self, moment: Moment, call: Call) -> None:
        self._close(call)

    def _close(self, call: Call) -> Request:
        request: Request = call.note
        waiting = self._open.get(call.entered.task.address, [])
        if request in waiting:
            waiting.remove(request)
        return request

    def _asked_data(self, request: Request, cache: str) -> dict[str, Any]:
        return {
            "cache": cache,
            "context": request.context,
            "callers": [caller.symbol for caller in request.callers],
            "asked": request.asked,
            "gfp": request.gfp,
            "gfp_names": self._names(request.gfp),
        }

    def _given(self, moment: Moment, call: Call) -> None:
        request = self._close(call)
        object_ = int(moment.pointer)
        asked = request.asked
        if object_ == ZERO_SIZE_PTR:
            return  # kmalloc(0) gives nothing
        if not object_:
            self._failed(moment, request)
            return
        name, given = self._answer(object_)
        self._free.drop(object_)
        if not self._is_wanted(name):
            return
        wasted = None if asked is None else max(given - asked, 0)
        data = self._asked_data(request, name)
        event = Allocated(
            what=f"{_object(name, object_)}, {_sizes(asked, given)}"
            f"{', in a new slab' * request.new_slab}: {data['gfp_names']}"
            f"{in_context(request.context)}{by(request.callers)}",
            **data,
            object=object_,
            given=given,
            wasted=wasted,
            new_slab=request.new_slab,
        )
        self._row(name).update(
            allocations=1,
            given=given,
            wasted=wasted or 0,
            new_slabs=int(request.new_slab),
        )
        number = self._emit(moment, event)
        self._keep(object_, name, given, request, number)

    def _keep(
        self, object_: int, cache: str, given: int, request: Request, number: int
    ) -> None:
        caller = request.callers[0].name if request.callers else ""
        self._live[object_] = Live(cache, given, caller, number)

    def _answer(self, object_: int) -> tuple[str, int]:
        """The cache of an object and what of it may be used: __ksize()."""
        found = slub.virt_to_slab(object_)
        if found is not None:
            return slub.cache_name(found[0]), kmalloc.ksize(found[0])
        pfn = object_ - kernel.memory().page_offset >> slub.PAGE_SHIFT
        return LARGE, PAGE_SIZE << page.compound_order(page.pfn_to_page(pfn))

    def _failed(self, moment: Moment, request: Request) -> None:
        if self._wanted is not None:
            return  # of which cache it would have been is not known
        data = self._asked_data(request, LARGE)
        size = "" if request.asked is None else f" {size_text(request.asked)}"
        event = Failed(
            what=f"nothing for{size or ' an object'}: {data['gfp_names']}"
            f"{in_context(request.context)}{by(request.callers)}",
            **data,
        )
        self._emit(moment, event)

    def _asks_many(self, moment: Moment) -> Request:
        request = Request(
            asked=_object_size(self._cache(moment.argument(0))),
            gfp=moment.argument(1) & 0xFFFF_FFFF,
            context=preempt_count(moment.cpu).context,
            callers=self._look(moment),
            array=moment.argument(3),
        )
        self._open.setdefault(moment.task.address, []).append(request)
        return request

    def _given_many(self, moment: Moment, call: Call) -> None:
        request = self._close(call)
        objects = self._array(request.array, moment.int_result)
        if not objects:
            return
        name, given = self._answer(objects[0])
        for object_ in objects:
            self._free.drop(object_)
        if not self._is_wanted(name):
            return
        data = self._asked_data(request, name)
        event = BulkAllocated(
            what=f"{counted(len(objects), 'object')} of {name} at once, "
            f"{size_text(given)} each{', in new slabs' * request.new_slab}: "
            f"{data['gfp_names']}{in_context(request.context)}{by(request.callers)}",
            **data,
            objects=objects,
            given=given,
            new_slab=request.new_slab,
        )
        row = self._row(name)
        row.update(allocations=len(objects), given=given * len(objects))
        row.update(new_slabs=int(request.new_slab))
        number = self._emit(moment, event)
        for object_ in objects:
            self._keep(object_, name, given, request, number)

    def _array(self, place: Ptr[Any], count: int) -> list[int]:
        """The pointers in an array of void *. Raises memory.Fault."""
        count = max(min(count, MOST_OBJECTS), 0)
        data = kernel.memory().read(place, 8 * count)
        return list(struct.unpack(f"<{count}Q", data))

    # --- What is given back -----------------------------------------------------------

    def _kfree(self, moment: Moment) -> None:
        object_ = moment.argument(0)
        if object_ > ZERO_SIZE_PTR:
            self._frees(moment, object_)

    def _frees(self, moment: Moment, object_: int) -> None:
        callers = self._look(moment)
        context = preempt_count(moment.cpu).context
        data = self._freed(moment, object_, callers, context)
        if data is None:
            return
        live, cache, given = data
        event = Freed(
            what=f"{_object(cache, object_)} freed, {size_text(given)}"
            f"{_since(live)}{in_context(context)}{by(callers)}",
            cache=cache,
            context=context,
            callers=[caller.symbol for caller in callers],
            object=object_,
            given=given,
            allocated=live.number if live else 0,
        )
        self._remember(object_, self._emit(moment, event), callers)

    def _freed(
        self, moment: Moment, object_: int, callers: list[Caller], context: str
    ) -> tuple[Live | None, str, int] | None:
        """An object is given back: what it was; None if that is told, or not wanted."""
        live = self._live.pop(object_, None)
        found = slub.virt_to_slab(object_)
        cache, given = self._answer(object_)
        if not self._is_wanted(cache):
            return None
        if found is not None:
            number = self._free_already(found, object_)
            if number is not None:
                self._double(moment, object_, cache, number, callers, context)
                return None
        if live is None and not self.tracer.follow.wants(moment.task):
            if found is not None:
                self._free.add(object_, found[0], cache, 0, callers)
            return None
        self._row(cache).update(frees=1)
        return live, cache, given

    def _remember(self, object_: int, number: int, callers: list[Caller]) -> None:
        found = slub.virt_to_slab(object_)
        if found is not None:
            name = slub.cache_name(found[0])
            self._free.add(object_, found[0], name, number, callers)

    def _free_already(
        self, found: tuple[KmemCache, Ptr[Any]], object_: int
    ) -> int | None:
        """The number of an object in its slab if it is free, else None."""
        slab = slub.free_list(*found)
        if slab.broken and found[1] not in self._broken:
            self._broken.add(found[1])
            self.tracer.troubles.append(slab.broken)
        number = slub.object_number(found[0], slab, object_)
        return number if number in slab.numbers else None

    def _double(
        self,
        moment: Moment,
        object_: int,
        cache: str,
        number: int,
        callers: list[Caller],
        context: str,
    ) -> None:
        before = self._free.get(object_)
        when = ""
        if before is not None and before.number:
            when = f" since event {before.number}{by(before.callers, ', freed by ')}"
        event = DoubleFree(
            what=f"double free: {_object(cache, object_)}, number {number} of its slab, "
            f"is free already{when}{in_context(context)}{by(callers)}",
            cache=cache,
            context=context,
            callers=[caller.symbol for caller in callers],
            object=object_,
            number=number,
            freed=before.number if before else 0,
            freed_by=[one.symbol for one in before.callers] if before else [],
        )
        self._emit(moment, event)

    def _frees_many(self, moment: Moment) -> None:
        callers = self._look(moment)
        context = preempt_count(moment.cpu).context
        objects = self._array(moment.argument(2), moment.argument(1) & 0xFFFF_FFFF)
        kept: dict[str, list[int]] = {}
        for object_ in objects:
            data = self._freed(moment, object_, callers, context)
            if data is not None:
                kept.setdefault(data[1], []).append(object_)
        for cache, own in kept.items():
            event = BulkFreed(
                what=f"{counted(len(own), 'object')} of {cache} freed at once"
                f"{in_context(context)}{by(callers)}",
                cache=cache,
                context=context,
                callers=[caller.symbol for caller in callers],
                objects=own,
            )
            number = self._emit(moment, event)
            for object_ in own:
                self._remember(object_, number, callers)

    # --- Slabs ------------------------------------------------------------------------

    def _new_slab(self, moment: Moment, call: Call) -> None:
        """allocate_slab() has returned a struct page, or struct slab, or NULL."""
        if not moment.pointer:
            return
        waiting = self._open.get(moment.task.address)
        if waiting:
            waiting[-1].new_slab = True
        self._slab_event(moment, call.note, moment.pointer, NewSlab)

    def _slab_freed(self, moment: Moment) -> None:
        self._slab_event(moment, moment.argument(0), moment.argument(1), SlabFreed)

    def _slab_event(
        self,
        moment: Moment,
        place: Ptr[Any],
        head: Ptr[Any],
        kind: type[NewSlab] | type[SlabFreed],
    ) -> None:
        cache = self._cache(place)
        name, pfn = slub.cache_name(cache), page.page_to_pfn(head)
        if not self._is_wanted(name):
            return
        order = slub.order_of(head)
        data: dict[str, Any] = {
            "cache": name,
            "context": preempt_count(moment.cpu).context,
            "callers": [],
            "pfn": pfn,
            "order": order,
        }
        room = f"of {counted(1 << order, 'page')}, frame {pfn:#x}"
        if kind is NewSlab:
            objects = slub.objects_of(head)
            what = f"{name} gets a new slab {room}: {counted(objects, 'object')}"
            self.tracer.emit(moment, NewSlab(what=what, **data, objects=objects))
        else:
            what = f"{name} gives back a slab {room}"
            self.tracer.emit(moment, SlabFreed(what=what, **data))

    # --- Bugs -------------------------------------------------------------------------

    def _written(self, moment: Moment, written: Written) -> None:
        if not self._is_wanted(written.to.name):
            return
        one = written.to
        since = (
            f"event {one.number}" if one.number else "a free by a process not followed"
        )
        event = UseAfterFree(
            what=f"use after free: {_object(one.name, one.address)} was written to since "
            f"{since}{by(one.callers, ', freed by ')}: {_bytes(written)}; `watch "
            f"*(char (*)[{written.size}]){one.address + written.offset:#x}` in a next run "
            "would stop at it",
            cache=one.name,
            context=preempt_count(moment.cpu).context,
            callers=[],
            object=one.address,
            offset=written.offset,
            size=written.size,
            freed=one.number,
            freed_by=[caller.symbol for caller in one.callers],
        )
        self._emit(moment, event)

    # --- The end ----------------------------------------------------------------------

    def summary(self) -> list[Any]:
        parts: list[Any] = []
        if self._rows:
            rows = [
                CacheRow(
                    cache=name,
                    allocations=found["allocations"],
                    frees=found["frees"],
                    given=found["given"],
                    wasted=found["wasted"],
                    new_slabs=found["new_slabs"],
                )
                for name, found in sorted(
                    self._rows.items(), key=lambda item: -item[1]["given"]
                )
            ]
            parts.append(Table(CacheRow, "Objects by cache", rows))
        if self._live:
            parts.append(self._left())
        bugs = [
            row for written in self._free.all_written() for row in self._bug(written)
        ]
        if bugs:
            parts.append(Table(BugRow, "Written to after they were freed", bugs))
        return parts

    def _left(self) -> Table[LeftRow]:
        """What was not freed, by who asked for it."""
        objects: Counter[tuple[str, str]] = Counter()
        given: Counter[tuple[str, str]] = Counter()
        for live in self._live.values():
            key = live.caller, live.cache or "page allocator"
            objects[key] += 1
            given[key] += live.given
        rows = [
            LeftRow(caller, cache, objects[caller, cache], size)
            for (caller, cache), size in given.most_common()
        ]
        title = f"Not freed: {counted(len(self._live), 'object')}"
        return Table(LeftRow, title, rows)

    def _bug(self, written: Written) -> Iterator[BugRow]:
        one = written.to
        if self._is_wanted(one.name):
            yield BugRow(
                object=f"{one.address:#x}",
                cache=one.name,
                what=_bytes(written),
                freed=one.number,
                freed_by=one.callers[0].name if one.callers else "",
            )


@structs.cached
def _kmalloc_caches() -> tuple[int, int]:
    """Where the array of pointers to kmalloc()'s caches is, and its bytes."""
    return structs.address_of("kmalloc_caches"), structs.variable_size("kmalloc_caches")


def _object_size(cache: KmemCache) -> int | None:
    """What is asked for by who names a cache; None if it serves objects of several sizes.

    kmalloc() with a constant size names one of its caches; others may have been merged with
    caches of smaller objects: see __kmem_cache_alias() in mm/slub.c.
    """
    place, size = _kmalloc_caches()
    every = struct.unpack(f"<{size // 8}Q", kernel.memory().read(place, size))
    if cache.refcount > 1 or cache.address in every:
        return None
    return cache.object_size


def _object(cache: str, address: int) -> str:
    return f"{cache or 'page allocator'} {address:#x}"


def _sizes(asked: int | None, given: int) -> str:
    if asked is None:
        return f"{size_text(given)} or less asked for"
    if given <= asked:
        return f"{size_text(given)}"
    return f"{size_text(asked)} asked for, {size_text(given - asked)} wasted"


def _since(live: Live | None) -> str:
    return f", allocated in event {live.number}" if live else ""


def _bytes(written: Written) -> str:
    last = written.offset + written.size - 1
    return f"bytes {written.offset} to {last} of {written.to.cache.object_size}"
