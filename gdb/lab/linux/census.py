# SPDX-License-Identifier: GPL-2.0-only
"""Who owns each page frame of RAM: every frame has exactly one owner."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Iterator

from ..arrays import Bools, Int64s, Uint8s, Uint64s, np
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import (
    PAGE_PRESENT,
    PAGE_PSE,
    PAGE_SIZE,
    PHYSICAL_MASK,
    START_KERNEL_MAP,
    Broken,
    Fault,
    Stub,
)
from . import (
    buddy,
    filemap,
    kallsyms,
    lists,
    mm,
    mmzone,
    module,
    page,
    pgtable,
    process,
    regions,
    registers,
    resource,
    slub,
    task,
    vmalloc,
)
from .mem_map import MemMap, mem_map
from .page import PAGE_MAPPING_ANON
from .pageframe import PAGE_MAPPING_KSM, PAGE_MAPPING_MOVABLE
from .structs.fs import AddressSpace
from .structs.lib import ListHead
from .structs.mm_types import MmStruct, Page, PmdPage
from .structs.sched import TaskStruct
from .structs.vmalloc import VmStruct

NO_PROCESS = "of no process"
THE_KERNEL, NO_CACHE = "the kernel", "a cache that is on no list"
UNMAPPED, SHARED_BY_KSM = "in no process", "shared by KSM"
RAM = "System RAM"  # its name in /proc/iomem
# Owners, as shares of RAM. A frame gets the first that claims it, in this order
NO_RAM, IMAGE, RESERVED, FREE, PER_CPU_LIST, SLAB, PAGE_TABLE, STACK, MODULE = range(9)
PERCPU, VMALLOC, HUGE, ANONYMOUS, PAGE_CACHE, ZERO, MOVABLE, KERNEL = range(9, 17)
NAMES = {
    IMAGE: "kernel image",
    RESERVED: "reserved",
    FREE: "free",
    PER_CPU_LIST: "free, on a list of a CPU's",
    SLAB: "slab",
    PAGE_TABLE: "page table",
    STACK: "kernel stack",
    MODULE: "module",
    PERCPU: "per-CPU variables",
    VMALLOC: "vmalloc",
    HUGE: "free, in the pool of huge pages",
    ANONYMOUS: "anonymous",
    PAGE_CACHE: "page cache",
    ZERO: "huge zero page",
    MOVABLE: "a driver's that can be moved",
    KERNEL: "kernel, alone or in a block",
}
NO_RAM_NAME = "no RAM"
MOST_FILES = 1 << 20
AT_ONCE = 4096  # page tables whose entries are copied at a time
PERCPU_CALLER = "pcpu_"
Frames = Int64s  # their numbers


@dataclass
class Census:
    """The owner of each frame, by its number, and whose it is in words."""

    owner: Uint8s
    details: Counter[tuple[int, str]] = field(default_factory=Counter)
    asked: int = -1  # a frame of which `whose` tells more
    whose: str = ""
    troubles: list[str] = field(default_factory=list)
    rooms: list[tuple[VmStruct, Frames]] = field(default_factory=list)  # vmalloc()'s

    def sums(self) -> dict[int, int]:
        """How many frames each kind of owner has."""
        counts = np.bincount(self.owner, minlength=len(NAMES) + 1)
        return {kind: int(counts[kind]) for kind in NAMES}

    @property
    def frames(self) -> int:
        """How many frames of RAM there are."""
        return int(np.count_nonzero(self.owner))

    def claim(self, kind: int, frames: Frames, whose: str = "") -> None:
        """Give frames to an owner, unless they have one."""
        self.claim_all(kind, frames, np.zeros(len(frames), np.int64), [whose])

    def claim_all(
        self, kind: int, frames: Frames, owners: Int64s, names: list[str]
    ) -> None:
        """Give frames to several owners of a kind; of several that claim one, the first.

        :param owners: for each frame, whose it is: a place in names
        """
        inside = (frames >= 0) & (frames < len(self.owner))
        frames, owners = frames[inside], owners[inside]
        left = self.owner[frames] == KERNEL
        own, at = np.unique(frames[left], return_index=True)
        self.owner[own] = kind
        counts = np.bincount(owners[left][at], minlength=len(names))
        for number in np.flatnonzero(counts):
            if names[number]:
                self.details[kind, names[number]] += int(counts[number])
        if self.asked >= 0 and self.asked in own:
            self.whose = names[owners[left][at][own == self.asked][0]]

    def claim_each(self, kind: int, claims: list[tuple[Frames, str]]) -> None:
        """Give to each its frames, as claim() one by one."""
        frames = [np.zeros(0, np.int64), *(frames for frames, _ in claims)]
        owners = np.repeat(np.arange(len(claims)), [len(one) for one in frames[1:]])
        names = [name for _, name in claims]
        self.claim_all(kind, np.concatenate(frames), owners, names)


def census(asked: int = -1) -> Census:
    """Find the owner of each frame.

    What cannot be read is told in troubles, and the frames behind it stay with the
    kernel. Raises memory.Fault, Broken where struct page cannot be read at all.

    :param asked: a frame of which more is asked: whose it is
    """
    pages = mem_map()
    found = Census(np.zeros(len(pages.words), np.uint8), asked=asked)
    for first, last in ram():
        found.owner[first : last + 1] = KERNEL
    found.owner[~pages.there] = NO_RAM
    heads = _heads(pages)
    steps = (_reserved, _free, _slabs, _find_rooms, _tables_and_stacks, _vmalloc)
    for step in (*steps, _others):
        try:
            step(found, pages, heads)
        except (Broken, Fault) as trouble:
            found.troubles.append(str(trouble))
    return found


def image_frames() -> tuple[int, int]:
    """The first and last frame of the kernel image."""
    start, end = regions.image()
    base = kernel.memory().phys_base - START_KERNEL_MAP
    return start + base >> 12, end - 1 + base >> 12


def ram() -> Iterator[tuple[int, int]]:
    """The first and last whole frames of each piece of RAM. Raises Broken."""
    for piece in resource.for_each_resource():
        if piece.name == RAM and not piece.depth:
            first = -(-piece.start // PAGE_SIZE)
            yield first, (piece.end + 1) // PAGE_SIZE - 1


def _heads(pages: MemMap) -> Frames:
    """compound_head() of each frame, as a number; of a damaged one the frame itself."""
    own = np.arange(len(pages.words))
    word = pages.word("compound_head")
    size = structs.sizeof("struct page")
    inside = word.astype(np.int64) - 1 - np.int64(page.vmemmap() - (1 << 64))
    head = inside // size
    is_tail = (word & np.uint64(1) != 0) & (inside % size == 0)
    is_tail &= (head >= 0) & (head < len(own))
    return np.where(is_tail, head, own)


def _reserved(found: Census, pages: MemMap, heads: Frames) -> None:
    """What the page allocator never got: the kernel image, and what memblock gave out."""
    reserved = np.flatnonzero(pages.has("reserved"))
    first, last = image_frames()
    found.claim(IMAGE, reserved[(reserved >= first) & (reserved <= last)])
    found.claim(RESERVED, reserved)


def _free(found: Census, pages: MemMap, heads: Frames) -> None:
    """The blocks of the buddy allocator, and those that CPUs keep. Raises Broken."""
    for zone in mmzone.for_each_populated_zone():
        name = mmzone.zone_name(zone)
        for order, area in enumerate(mmzone.free_areas(zone)):
            starts = [
                page.page_to_pfn(block)
                for number in range(len(mmzone.migratetype_names()))
                for block in buddy.free_list(area, order, number)
            ]
            found.claim(FREE, _blocks(starts, 1 << order), f"{name}, order {order}")
    for first, order in buddy.free_for_cpus().items():
        found.claim(PER_CPU_LIST, _blocks([first], 1 << order))


def _blocks(starts: list[int], size: int) -> Frames:
    """All frames of blocks of one size."""
    return (np.array(starts, np.int64)[:, None] + np.arange(size)).reshape(-1)


def _slabs(found: Census, pages: MemMap, heads: Frames) -> None:
    """Slabs, by their cache. Raises Broken."""
    frames = np.flatnonzero(pages.has("slab")[heads])
    caches = pages.word("slab_cache", slub.slab_type())[heads[frames]]
    for cache in slub.for_each_cache():
        own = frames[caches == np.uint64(cache.address)]
        if len(own):
            found.claim(SLAB, own, slub.cache_name(cache))
    found.claim(SLAB, frames, NO_CACHE)


def _tables_and_stacks(found: Census, pages: MemMap, heads: Frames) -> None:
    """Page tables and kernel stacks; and whose anonymous memory is. Raises Broken."""
    kernel_pgd = kernel.memory().kernel_pgd // PAGE_SIZE
    of_kernel = tables_below(np.array([kernel_pgd]), range(256, 512), False)
    found.claim(PAGE_TABLE, of_kernel.tables, THE_KERNEL)
    rooms = {area.addr: frames for area, frames in found.rooms}
    stacks: list[tuple[Frames, str]] = []
    users: dict[Ptr[MmStruct], str] = {}
    for thread in task.for_each_process_thread():
        read = TaskStruct(kernel.memory(), thread)
        name = f"{task.comm_text(read.comm)} {read.pid}"
        stacks.append((_stack(thread, rooms), name))
        if read.mm:
            users.setdefault(read.mm, name)
    for thread in process.idle_tasks():
        stacks.append((_stack(thread, rooms), f"{task.task(thread).comm} 0"))
    found.claim_each(STACK, stacks)
    for space in spaces(pages):
        users.setdefault(space, NO_PROCESS)
    names = list(users.values())
    tops = np.array([mm.pgd_of(space) // PAGE_SIZE for space in users], np.int64)
    below = tables_below(tops, range(256), True)
    found.claim_all(PAGE_TABLE, below.tables, below.tables_of, names)
    found.claim_all(PAGE_TABLE, *_deposited(below), names)
    is_anonymous = _is_anonymous(pages)[heads]
    inside = (below.mapped >= 0) & (below.mapped < len(is_anonymous))
    mapped, mapped_by = below.mapped[inside], below.mapped_by[inside]
    own = is_anonymous[mapped]
    found.claim_all(ANONYMOUS, mapped[own], mapped_by[own], names)


def spaces(pages: MemMap | None = None) -> Iterator[Ptr[MmStruct]]:
    """All mm_struct that are in use, those of no process too.

    That of a process that has ended stays while a CPU runs a kernel thread in it; another
    is poking_mm, in which the kernel changes its own code.
    """
    for cache in slub.for_each_cache():
        if slub.cache_name(cache) == "mm_struct":
            for slab in slub.slabs_of(cache, pages):
                for _, address in slub.in_use(cache, slab):
                    yield Ptr[MmStruct](address)


def _is_anonymous(pages: MemMap) -> Bools:
    """Which first pages belong to anonymous memory: PageAnon()."""
    is_slab = pages.has("slab")
    found: Bools = pages.word("mapping") & np.uint64(PAGE_MAPPING_ANON) != 0
    return found & ~is_slab


def _find_rooms(found: Census, pages: MemMap, heads: Frames) -> None:
    """What vmalloc() has mapped, stacks too. Raises Broken."""
    for room in _rooms():
        found.rooms.append(room)


def _rooms() -> Iterator[tuple[VmStruct, Frames]]:
    """All areas of vmalloc(), and their frames. Raises Broken, memory.Fault."""
    guest, first = kernel.memory(), page.vmemmap()
    size = structs.sizeof("struct page")
    for one in vmalloc.for_each_vmap_area():
        area = one.vm
        if area is None or not area.flags & vmalloc.VM_ALLOC or not area.pages:
            continue
        most = (one.area.va_end - one.area.va_start) // PAGE_SIZE
        raw = guest.read(area.pages, 8 * min(area.nr_pages, most))
        places = np.frombuffer(raw, np.uint64) - np.uint64(first)
        yield area, (places // np.uint64(size)).astype(np.int64)


def _stack(thread: Ptr[TaskStruct], rooms: dict[Ptr[object], Frames]) -> Frames:
    """The frames of a task's kernel stack, wherever it is mapped.

    :param rooms: the frames of what vmalloc() has mapped, by where that is
    """
    stack = registers.task_stack_page(thread)
    if not stack:
        return np.zeros(0, np.int64)
    frames = rooms.get(Ptr[object](stack))
    if frames is None:
        return _mapped(stack, stack + registers.thread_size())
    return frames


def _mapped(start: int, end: int) -> Frames:
    """The frames that are mapped at kernel addresses."""
    pgd = kernel.memory().kernel_pgd
    walks = (pgtable.walk(pgd, address) for address in range(start, end, PAGE_SIZE))
    frames = [walk.physical // PAGE_SIZE for walk in walks if walk.physical is not None]
    return np.array(frames, np.int64)


def _deposited(below: Tables) -> tuple[Frames, Int64s]:
    """Tables that wait for huge pages to be split: pgtable_trans_huge_deposit().

    Returns their frames, and whose each is. Raises Broken where a list is damaged.
    """
    frames: list[int] = []
    owners: list[int] = []
    if structs.has_member("struct page", "pmd_huge_pte"):
        # In struct ptdesc since v6.6 (f8546d84fd9f)
        inside = structs.offsetof("struct page", "lru")
        guest = kernel.memory()
        for pfn, whose in zip(below.middle.tolist(), below.middle_of.tolist()):
            place = Ptr[PmdPage](page.pfn_to_page(pfn))
            first = PmdPage(guest, place).pmd_huge_pte
            if first:
                before = len(frames)
                frames.append(page.page_to_pfn(first))
                for link in lists.list_for_each(Ptr[ListHead](first + inside)):
                    frames.append(page.page_to_pfn(Ptr[Page](link - inside)))
                owners += [whose] * (len(frames) - before)
    return np.array(frames, np.int64), np.array(owners, np.int64)


@dataclass
class Tables:
    """The frames of page tables below several top ones, and of what they map.

    Each with whose it is, by the place of its top table.
    """

    tables: Frames
    tables_of: Int64s
    middle: Frames  # the page middle directories among the tables
    middle_of: Int64s
    mapped: Frames
    mapped_by: Int64s


def tables_below(tops: Frames, own: range, maps: bool) -> Tables:
    """All page tables below top ones, these too, level by level.

    :param own: the entries of the top tables that count
    :param maps: collect what is mapped, too
    :raises Broken: a table lies outside of RAM
    """
    none = np.zeros(0, np.int64)
    tables, owners = tops, np.arange(len(tops))
    found, mapped = [(tables, owners)], [(none, none)]
    middle = none, none
    level = kernel.memory().levels
    while len(tables) and (level > 1 or maps):
        if level == 2:
            middle = tables, owners
        below = [(none, none)]
        for first in range(0, len(tables), AT_ONCE):
            entries = entries_of(tables[first : first + AT_ONCE])[
                :, own.start : own.stop
            ]
            rows, columns = np.nonzero(entries & np.uint64(PAGE_PRESENT))
            words = entries[rows, columns]
            targets = (words & np.uint64(PHYSICAL_MASK)).astype(np.int64) // PAGE_SIZE
            whose = owners[first + rows]
            if level == 1:
                mapped.append((targets, whose))
                continue
            large = (words & np.uint64(PAGE_PSE) != 0) & (level in (2, 3))
            below.append((targets[~large], whose[~large]))
            if maps and large.any():
                size = 512 ** (level - 1)
                starts = targets[large] & -size
                frames = (starts[:, None] + np.arange(size)).reshape(-1)
                mapped.append((frames, np.repeat(whose[large], size)))
        if level == 1:
            break
        tables = np.concatenate([targets for targets, _ in below])
        owners = np.concatenate([whose for _, whose in below])
        # Huge pages of one file may share a table, and a damaged one may be a cycle
        _, at = np.unique(owners << 40 | tables, return_index=True)
        at.sort()
        tables, owners = tables[at], owners[at]
        found.append((tables, owners))
        level, own = level - 1, range(512)
    return Tables(
        tables=np.concatenate([frames for frames, _ in found]),
        tables_of=np.concatenate([whose for _, whose in found]),
        middle=middle[0],
        middle_of=middle[1],
        mapped=np.concatenate([frames for frames, _ in mapped]),
        mapped_by=np.concatenate([whose for _, whose in mapped]),
    )


def entries_of(tables: Frames) -> Uint64s:
    """The entries of many page tables, a row for each. Raises Broken.

    :param tables: their frames
    """
    physical = kernel.memory().physical
    found = np.zeros((len(tables), 512), np.uint64)
    if isinstance(physical, Stub):
        for row, table in enumerate(tables):
            found[row] = read_entries(int(table) * PAGE_SIZE)
        return found
    missing = np.ones(len(tables), np.bool_)
    for block in physical.blocks:
        first, last = -(-block.start // PAGE_SIZE), block.end // PAGE_SIZE
        inside = (tables >= first) & (tables < last)
        at = block.offset + first * PAGE_SIZE - block.start
        words = np.frombuffer(physical.ram, np.uint64, (last - first) * 512, at)
        found[inside] = words.reshape(-1, 512)[tables[inside] - first]
        missing &= ~inside
    if missing.any():
        place = int(tables[missing][0]) * PAGE_SIZE
        raise Broken(f"the page table at {place:#x} lies nowhere")
    return found


def read_entries(table: int) -> Uint64s:
    """The 512 entries of a page table. Raises Broken."""
    try:
        buffer, at = kernel.memory().physical.locate(table, PAGE_SIZE)
    except Fault as fault:
        raise Broken(f"the page table at {table:#x} lies nowhere: {fault}") from None
    return np.frombuffer(buffer, np.uint64, 512, at)


def _vmalloc(found: Census, pages: MemMap, heads: Frames) -> None:
    """What is mapped in the vmalloc region and that of modules. Raises Broken."""
    names = {piece.start: piece.module for piece in module.for_each_module()}
    claims: dict[int, list[tuple[Frames, str]]] = {}
    for area, frames in found.rooms:
        kind, whose = use_of(area, names)
        claims.setdefault(kind, []).append((frames, whose))
    for kind in sorted(claims):
        found.claim_each(kind, claims[kind])


def use_of(area: VmStruct, modules: dict[int, str]) -> tuple[int, str]:
    """What an area of vmalloc() is for, and whose it is.

    :param modules: the names of modules by where their pieces start
    """
    if area.addr in modules:
        return MODULE, modules[area.addr]
    caller = kallsyms.sprint_short(area.caller) if area.caller else "?"
    return PERCPU if caller.startswith(PERCPU_CALLER) else VMALLOC, caller


def _others(found: Census, pages: MemMap, heads: Frames) -> None:
    """Memory of user space that no process maps now, and the page cache."""
    huge = np.flatnonzero(pages.has("head"))
    in_pool = [
        int(pfn)
        for pfn in huge
        if found.owner[pfn] == KERNEL
        and page.is_huge(page.pfn_to_page(int(pfn)))
        and pages.int32("_refcount.counter")[pfn] == 0
    ]
    for pfn in in_pool:
        size = 1 << page.compound_order(page.pfn_to_page(pfn))
        found.claim(HUGE, np.arange(pfn, pfn + size))
    zero = [pfn for pfn in huge if page.is_zero_page(int(pfn))]
    for pfn in zero:
        found.claim(ZERO, np.arange(pfn, int(pfn) + page.HUGE_PAGES))
    mapping = pages.word("mapping")[heads]
    left = np.flatnonzero(found.owner == KERNEL)
    words = mapping[left]
    found.claim(ANONYMOUS, left[words & np.uint64(3) == PAGE_MAPPING_ANON], UNMAPPED)
    found.claim(
        ANONYMOUS, left[words & np.uint64(3) == PAGE_MAPPING_KSM], SHARED_BY_KSM
    )
    found.claim(MOVABLE, left[words & np.uint64(3) == PAGE_MAPPING_MOVABLE])
    cached = left[(words != 0) & (words & np.uint64(3) == 0)]
    owners = mapping[cached]
    for place in np.unique(owners)[:MOST_FILES]:
        name = filemap.mapping_name(Ptr[AddressSpace](int(place)))
        found.claim(PAGE_CACHE, cached[owners == place], name)
