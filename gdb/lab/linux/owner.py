# SPDX-License-Identifier: GPL-2.0-only
"""Who owns one page frame, without asking all the others: as the census would find it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from ..arrays import np
from ..target import kernel
from ..target.cstruct import Ptr
from ..target.memory import PAGE_PRESENT, PAGE_PSE, PAGE_SIZE, PHYSICAL_MASK
from . import (
    buddy,
    census,
    filemap,
    mm as mm_,
    mmzone,
    module,
    page,
    pagewalk,
    process,
    processors,
    registers,
    rmap,
    slub,
    task as task_,
    vmalloc,
)
from .page import PAGE_MAPPING_ANON
from .pageframe import PAGE_MAPPING_KSM
from .structs.fs import AddressSpace
from .structs.mm_types import MmStruct, Page
from .structs.sched import TaskStruct


@dataclass(frozen=True)
class Table:
    """A page table: whose, of which level, and the first address it is for."""

    whose: str
    level: int
    first: int
    task: TaskStruct | None = None  # a thread of the process whose it is


@dataclass(frozen=True)
class Room:
    """A place that vmalloc() has mapped a frame at."""

    area: vmalloc.Area
    address: int
    task: Ptr[TaskStruct] | None = None  # whose kernel stack that is


@dataclass(frozen=True)
class Owner:
    """The owner of a frame, with what was found out on the way."""

    kind: str  # of census.NAMES, or NO_RAM_NAME
    whose: str = ""  # "" where nothing more is known
    table: Table | None = None
    room: Room | None = None

    @property
    def words(self) -> str:
        """Both in a phrase."""
        return f"{self.kind}, {self.whose}" if self.whose else self.kind


def owner_of(pfn: int) -> Owner:
    """The owner of a frame. Raises memory.Fault, Broken."""
    if not any(first <= pfn <= last for first, last in census.ram()):
        return Owner(census.NO_RAM_NAME)
    own = page.pfn_to_page(pfn)
    flags = page.flag_names(Page(kernel.memory(), own).flags)
    if "reserved" in flags:
        first, last = census.image_frames()
        return _owner(census.IMAGE if first <= pfn <= last else census.RESERVED)
    free = buddy.free_block(pfn)
    if free is not None:
        zone = mmzone.zone_of(pfn)
        return _owner(census.FREE, f"{zone}, order {free.order}" if zone else "")
    head = page.compound_head(own)
    read = Page(kernel.memory(), head)
    if "slab" in page.flag_names(read.flags):
        return _owner(census.SLAB, _cache(head))
    if buddy.block_of_cpus(pfn, buddy.free_for_cpus()) is not None:
        return _owner(census.PER_CPU_LIST)
    if page.is_huge(head) and not read.refcount:
        return _owner(census.HUGE)
    if read.mapping:
        return _of_mapping(pfn, head)
    return _of_kernel(pfn)


def _owner(kind: int, whose: str = "") -> Owner:
    return Owner(census.NAMES[kind], whose)


def _cache(head: Ptr[Page]) -> str:
    """The name of the cache that a slab belongs to. Raises Broken."""
    owner = slub.read_slab(head).slab_cache
    for cache in slub.for_each_cache():
        if cache.address == owner:
            return slub.cache_name(cache)
    return census.NO_CACHE


def _of_mapping(pfn: int, head: Ptr[Page]) -> Owner:
    """Of a page of user space's, or one that can be moved."""
    read = Page(kernel.memory(), head)
    kind = read.mapping & 3
    if not kind:
        name = filemap.mapping_name(Ptr[AddressSpace](read.mapping))
        return _owner(census.PAGE_CACHE, name)
    if kind == PAGE_MAPPING_KSM:
        return _owner(census.ANONYMOUS, census.SHARED_BY_KSM)
    if kind != PAGE_MAPPING_ANON:
        return _owner(census.MOVABLE)
    spaces: set[Ptr[MmStruct]] = set()
    if page.page_mapcount(page.pfn_to_page(pfn)):
        spaces = {space for space, _ in rmap.rmap_walk_anon(pfn)}
    for thread in task_.for_each_process_thread() if spaces else ():
        owner = TaskStruct(kernel.memory(), thread)
        if owner.mm in spaces:
            return _owner(census.ANONYMOUS, _name(owner))
    return _owner(census.ANONYMOUS, census.NO_PROCESS if spaces else census.UNMAPPED)


def _name(owner: TaskStruct) -> str:
    return f"{task_.comm_text(owner.comm)} {owner.pid}"


def _of_kernel(pfn: int) -> Owner:
    """Of what no member of struct page tells: who has it in use is looked up."""
    is_table = page.may_be_page_table(pfn)
    table = find_table(pfn) if is_table else None
    room = find_room(pfn) if table is None else None
    if table is None and room is None and not is_table:
        table = find_table(pfn)
    if table is not None:
        return Owner(census.NAMES[census.PAGE_TABLE], table.whose, table=table)
    stack = (
        room and room.task or _stack_at(kernel.memory().page_offset + pfn * PAGE_SIZE)
    )
    if stack:
        name = _name(TaskStruct(kernel.memory(), stack))
        return Owner(census.NAMES[census.STACK], name, room=room)
    if room is not None and room.area.vm is not None:
        kind, whose = census.use_of(room.area.vm, _starts_of_modules())
        return Owner(census.NAMES[kind], whose, room=room)
    if page.is_zero_page(pfn):
        return _owner(census.ZERO)
    found = census.census(pfn)  # such as a table that waits for a huge page's split
    return Owner(census.NAMES[int(found.owner[pfn])], found.whose)


def _starts_of_modules() -> dict[int, str]:
    return {piece.start: piece.module for piece in module.for_each_module()}


# --- Page tables ----------------------------------------------------------------------


def find_table(pfn: int) -> Table | None:
    """The page table in a frame, None if there is none. Raises Broken, memory.Fault."""
    guest = kernel.memory()
    of_kernel = find_table_of_kernel(pfn)
    if of_kernel is not None:
        return of_kernel
    owners: dict[Ptr[MmStruct], TaskStruct] = {}
    for thread in task_.for_each_process_thread():
        read = TaskStruct(guest, thread)
        if read.mm and read.mm not in owners:
            owners[read.mm] = read
    found = _search_spaces(list(owners), pfn)
    if found is not None:
        task = list(owners.values())[found[0]]
        return Table(_name(task), found[1], found[2], task)
    others = [space for space in census.spaces() if space not in owners]
    found = _search_spaces(others, pfn)
    return found and Table(census.NO_PROCESS, found[1], found[2])


def find_table_of_kernel(pfn: int) -> Table | None:
    """The kernel's own page table in a frame, None if there is none. Raises Broken."""
    found = _search([kernel.memory().kernel_pgd // PAGE_SIZE], range(512), pfn)
    return found and Table(census.THE_KERNEL, found[1], found[2])


def _search_spaces(
    spaces: list[Ptr[MmStruct]], pfn: int
) -> tuple[int, int, int] | None:
    """As _search(), in the user's half of address spaces."""
    tops = [mm_.pgd_of(space) // PAGE_SIZE for space in spaces]
    return _search(tops, range(256), pfn)


def _search(tops: list[int], own: range, pfn: int) -> tuple[int, int, int] | None:
    """Search for a frame below all these top tables at once, level by level.

    Returns whose it is, by the place in tops, its level, and the first address it is for;
    None if it is not there. Huge pages of one file may share a table: it is the first's.

    :param own: the entries of the top tables that count
    :raises Broken: a table lies outside of RAM
    """
    level = kernel.memory().levels
    if pfn in tops:
        return tops.index(pfn), level, 0
    tables = np.array(tops, np.int64)
    whose, first = np.arange(len(tops)), np.zeros(len(tops), np.int64)
    while level > 1 and len(tables):
        entries = census.entries_of(tables)[:, own.start : own.stop]
        is_table = entries & np.uint64(PAGE_PRESENT) != 0
        if level in (2, 3):
            is_table &= entries & np.uint64(PAGE_PSE) == 0
        rows, columns = np.nonzero(is_table)
        below = (entries[rows, columns] & np.uint64(PHYSICAL_MASK)).astype(np.int64)
        below //= PAGE_SIZE
        starts = first[rows] + (columns + own.start << 12 + 9 * (level - 1))
        hits = np.flatnonzero(below == pfn)
        level -= 1
        if len(hits):
            start = int(starts[hits[0]])
            return int(whose[rows[hits[0]]]), level, canonical(start)
        _, at = np.unique(below, return_index=True)
        at.sort()
        tables, whose, first = below[at], whose[rows[at]], starts[at]
        own = range(512)
    return None


def canonical(address: int) -> int:
    """An address with all its upper bits as the highest that is translated."""
    bits = pagewalk.level_bits()
    return address | -(address >> bits - 1) << bits & processors.MASK


# --- vmalloc() and stacks -------------------------------------------------------------


def find_room(pfn: int) -> Room | None:
    """Where vmalloc() has mapped a frame, None if nowhere. Raises Broken, memory.Fault."""
    guest, wanted = kernel.memory(), page.pfn_to_page(pfn)
    for one in vmalloc.for_each_vmap_area():
        if one.vm is None or not one.vm.pages or not one.vm.nr_pages:
            continue
        pages = min(one.vm.nr_pages, (one.area.va_end - one.area.va_start) // PAGE_SIZE)
        array = np.frombuffer(guest.read(one.vm.pages, 8 * pages), np.uint64)
        for number in np.flatnonzero(array == np.uint64(wanted)):
            place = one.vm.addr + int(number) * PAGE_SIZE
            return Room(one, place, _stack_at(place))
    return None


def _stack_at(address: int) -> Ptr[TaskStruct] | None:
    """Whose kernel stack is at an address. Raises Broken, memory.Fault."""
    size = registers.thread_size()
    for thread in chain(task_.for_each_process_thread(), process.idle_tasks()):
        start = registers.task_stack_page(thread)
        if start and start <= address < start + size:
            return thread
    return None
