# SPDX-License-Identifier: GPL-2.0-only
"""The caches of the slab allocator, as in /proc/slabinfo, and the slabs of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, NamedTuple

from ..linux import kallsyms, objects, slub, startup
from ..linux.structs.slub import KmemCache
from ..result import Address, Drawing, Flags, Number, Report, Size, Table, Words
from ..sizes import counted, rough_size
from ..target.debugger import Refused
from ..target.memory import PAGE_SIZE, Broken, Fault

IN_A_LINE = 64  # objects drawn in a line
SHOWN = 40  # slabs that are drawn


class CacheRow(NamedTuple):
    """A cache, as in /proc/slabinfo."""

    name: Words
    active_objs: Number | None
    num_objs: Number | None
    object_size: Number
    size: Number
    align: Number
    objperslab: Number
    order: Number
    slabs: Number | None
    memory: Size | None
    flags: Flags
    address: Address


class SlabRow(NamedTuple):
    """A slab of a cache."""

    start: Address
    order: Number
    objects: Number
    used: Number
    free: Number
    on: Words  # which list it is on
    page: Address


class ObjectRow(NamedTuple):
    """An object in use."""

    address: Address
    number: Number
    slab: Address
    is_: Words


@dataclass
class SlabsReport(Report, schema="slabs"):
    """All caches."""

    summary: str
    caches: Table[CacheRow]


@dataclass
class CacheReport(Report, schema="slabs-of-cache"):
    """One cache: its sizes in words, its slabs, drawn, and what its objects are."""

    layout: str
    drawing: Drawing[list[dict[str, Any]]]
    slabs: Table[SlabRow]
    objects: Table[ObjectRow] | None


def describe(name: str) -> SlabsReport | CacheReport:
    """List all caches, or look into the one with a name.

    :param name: "" for all
    :raises Refused: no cache has this name
    :raises Broken: the list of caches is damaged before it
    """
    startup.need_slab()
    return _named(name) if name else _all()


def _all() -> SlabsReport:
    table = Table(CacheRow)
    try:
        for cache in slub.for_each_cache():
            table.rows.append(_cache_row(cache))
    except Broken as broken:
        table.broken = str(broken)
    memory = sum(row.memory or 0 for row in table.rows)
    summary = (
        f"{counted(len(table.rows), 'cache')} hold {rough_size(memory)}. What CPUs keep "
        "free for themselves counts as active."
    )
    return SlabsReport(summary, table)


def _cache_row(cache: KmemCache) -> CacheRow:
    """Raises Broken, memory.Fault."""
    use = slub.use_of(cache)
    order = slub.oo_order(cache)
    return CacheRow(
        name=slub.cache_name(cache),
        active_objs=use.active_objs if use else None,
        num_objs=use.num_objs if use else None,
        object_size=cache.object_size,
        size=cache.size,
        align=cache.align,
        objperslab=slub.oo_objects(cache),
        order=order,
        slabs=use.nr_slabs if use else None,
        memory=use.nr_slabs * (PAGE_SIZE << order) if use else None,
        flags=slub.flag_names(cache.flags),
        address=cache.address,
    )


def _named(name: str) -> CacheReport:
    names = []
    for cache in slub.for_each_cache():
        own = slub.cache_name(cache)
        names.append(own)
        if own == name:
            return _of_cache(cache)
    near = [own for own in names if name in own][:5]
    hint = f" There are {', '.join(near)}." if near else " `lab slabs` lists them."
    raise Refused(f"There is no cache {name}: it may share one with others.{hint}")


def _of_cache(cache: KmemCache) -> CacheReport:
    table = Table(SlabRow, "slabs")
    found: list[slub.SlabOf] = []
    try:
        found = slub.slabs_of(cache)
    except (Broken, Fault) as trouble:
        table.broken = str(trouble)
    for slab in found:
        row = SlabRow(
            start=slab.start,
            order=slab.order,
            objects=slab.objects,
            used=slab.objects - len(slab.free),
            free=len(slab.free),
            on=slab.where,
            page=slab.page,
        )
        table.rows.append(row)
    data = [
        {"start": slab.start, "objects": slab.objects, "free": sorted(slab.free)}
        for slab in found
    ]
    drawing = Drawing("█ used  ░ free", list(_drawn(found)), data)
    return CacheReport(_layout(cache), drawing, table, _objects(cache, found))


def _layout(cache: KmemCache) -> str:
    """What a slot is made of, in words."""
    name, order = slub.cache_name(cache), slub.oo_order(cache)
    each, slab = slub.oo_objects(cache), PAGE_SIZE << order
    rest = slab - each * cache.size
    text = (
        f"{name}: objects of {cache.object_size} bytes in slots of {cache.size}, aligned "
        f"to {cache.align}. A slab of {rough_size(slab)} (order {order}) has {each} of "
        f"them, and {rest} bytes are left over."
    )
    if cache.ctor:
        text += f" Each is prepared by {kallsyms.sprint_short(cache.ctor)}."
    if cache.refcount > 1:
        text += f" {cache.refcount} kinds of objects share this cache."
    return text


def _drawn(slabs: list[slub.SlabOf]) -> Iterator[str]:
    for slab in slabs[:SHOWN]:
        cells = "".join(
            "░" if number in slab.free else "█" for number in range(slab.objects)
        )
        for at in range(0, len(cells), IN_A_LINE):
            head = f"{slab.start:#x}" if not at else ""
            yield f"{head:18}  {cells[at : at + IN_A_LINE]}"
    if len(slabs) > SHOWN:
        yield f"and {counted(len(slabs) - SHOWN, 'more slab', 'more slabs')}"


def _objects(cache: KmemCache, slabs: list[slub.SlabOf]) -> Table[ObjectRow] | None:
    """What each object in use is, where the lab knows the type of a cache's objects."""
    tell = objects.teller(slub.cache_name(cache))
    if tell is None:
        return None
    table = Table(ObjectRow, "objects in use")
    for slab in slabs:
        for number, address in slub.in_use(cache, slab):
            try:
                text = tell(address)
            except (Fault, Broken) as trouble:
                text = str(trouble)
            table.rows.append(ObjectRow(address, number, slab.start, text))
    return table
