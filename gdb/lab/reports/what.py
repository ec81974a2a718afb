# SPDX-License-Identifier: GPL-2.0-only
"""What an address is, whatever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, NamedTuple

from ..linux import identify, maps, mm as mm_, pgtable, task as task_
from ..linux.identify import Fact
from ..linux.maps import Places
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..linux.structs.sched import TaskStruct
from ..linux.vmflags import permissions
from ..programs.userelf import Modules
from ..result import Address, Report, Table, Words
from ..target import kernel
from ..target.cstruct import Ptr
from .addresses import is_canonical

# Kinds whose fact is a reason, and not a name
WHY = ("nothing", "not known", "not mapped", "no page", "no RAM")


class FactRow(NamedTuple):
    """One thing that an address is or belongs to, the most special first."""

    is_: Words  # symbol, object, kernel stack, page cache, region, ...
    what: Words
    start: Address | None  # where that starts
    part: Words | None  # what of it is at the address


@dataclass
class WhatReport(Report, schema="what"):
    """What an address is in a sentence, and all that it belongs to."""

    sentence: str
    facts: Table[FactRow]


def describe(
    address: int, owner: Ptr[TaskStruct] | None, mm: Ptr[MmStruct] | None
) -> WhatReport:
    """What an address is.

    :param owner: whose an address of user space is, with its memory; None if nobody's
    :raises Broken, Fault: the areas cannot be read
    """
    levels = kernel.memory().levels
    if not is_canonical(address, levels):
        why = f"not canonical: no address with {levels}-level paging"
        return _report(address, [Fact("nothing", why)])
    if address >= pgtable.USER_HALF:
        return _report(address, identify.identify(address))
    if owner is None or mm is None:
        what = "an address of user space, and this task has none"
        return _report(address, [Fact("nothing", what)])
    return _report(address, _of_user(address, owner, mm))


def _of_user(address: int, owner: Ptr[TaskStruct], mm: Ptr[MmStruct]) -> list[Fact]:
    """What an address of a process is. Raises Broken, memory.Fault."""
    places = Places(mm, task_.onlooker_root())
    area = places.find(address)
    found: list[Fact] = []
    if area is not None:
        found += _symbols(places, area, address)
        found.append(_area(places, area, owner, address))
    else:
        found.append(_gap(places, owner, address))
    return found + _page(mm, address)


def _report(address: int, facts: list[Fact]) -> WhatReport:
    table = Table(FactRow)
    for fact in facts:
        table.rows.append(FactRow(fact.kind, fact.what, fact.start, fact.part or None))
    first = facts[0]
    parts = [f"{first.kind}{':' * (first.kind in WHY)} {first.what}", first.part]
    return WhatReport(f"{address:#x}: {', '.join(filter(None, parts))}.", table)


def _symbols(places: Places, area: VmAreaStruct, address: int) -> Iterator[Fact]:
    """The function of the program around an address, if it is code."""
    if not places.is_code(address):
        return
    mm = places.mm.address
    modules = Modules(places, lambda at, size: mm_.access_process_vm(mm, at, size), "")
    found = modules.at(address)
    symbol = found and found.file.symbol(address - found.bias)
    if symbol:
        name, inside = symbol
        yield Fact("function", name, address - inside, f"+{inside:#x}")


def _area(
    places: Places, area: VmAreaStruct, owner: Ptr[TaskStruct], address: int
) -> Fact:
    """The area around an address, and where in it or in its file that is."""
    read = task_.task(owner)
    rights = permissions(area.vm_flags)
    inside = maps.offset(area, address)
    of_what = "of the file" if area.vm_file else "of it"
    return Fact(
        "area",
        f"{places.name(area)} ({rights}) of {read.comm}, pid {read.tgid}",
        area.vm_start,
        f"byte {inside:#x} {of_what}",
    )


def _gap(places: Places, owner: Ptr[TaskStruct], address: int) -> Fact:
    """What is around an address that is in no area."""
    read = task_.task(owner)
    above = places.above(address)
    below = [area for area in places.areas if area.vm_end <= address]
    part = ""
    if below:
        part = f"{address - below[-1].vm_end:#x} behind {places.name(below[-1])}"
    if above is not None:
        to = f"{above.vm_start - address:#x} before {places.name(above)}"
        part = f"{part}, {to}" if part else to
    return Fact("no area", f"of {read.comm}, pid {read.tgid}", None, part)


def _page(mm: Ptr[MmStruct], address: int) -> list[Fact]:
    """What is mapped at an address of user space."""
    walk = pgtable.walk(mm_.pgd_of(mm), address)
    if walk.broken:
        return [Fact("not known", walk.broken)]
    if walk.physical is None:
        return [Fact("no page", pgtable.explain(walk.last))]
    return identify.physical(walk.physical)
