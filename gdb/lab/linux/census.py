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

NO_PROCESS = "of no process"
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
        inside = frames[(frames >= 0) & (frames < len(self.owner))]
        own = inside[self.owner[inside] == KERNEL]
        self.owner[own] = kind
        if len(own) and whose:
            self.details[kind, whose] += len(own)
            if self.asked >= 0 and self.asked in own:
                self.whose = whose


def census(asked: int = -1) -> Census:
    """Find the owner of each frame.

    What cannot be read is told in troubles, and the frames behind it stay with the
    kernel. Raises memory.Fault, Broken where struct page cannot be read at all.

    :param asked: a frame of which more is asked: whose it is
    """
    pages = mem_map()
    found = Census(np.zeros(len(pages.words), np.uint8), asked=asked)
    for first, last in _ram():
        found.owner[first : last + 1] = KERNEL
    found.owner[~pages.there] = NO_RAM
    heads = _heads(pages)
    for step in (_reserved, _free, _slabs, _tables_and_stacks, _vmalloc, _others):
        try:
            step(found, pages, heads)
        except (Broken, Fault) as trouble:
            found.troubles.append(str(trouble))
    return found


def owner_of(pfn: int) -> tuple[str, str]:
    """The owner of one frame, and whose it is in words: "" where nothing more is known.

    Raises memory.Fault, Broken.
    """
    quick = _quick_owner_of(pfn)
    if quick is not None:
        return quick
    found = census(pfn)
    if not 0 <= pfn < len(found.owner) or not found.owner[pfn]:
        return NO_RAM_NAME, ""
    return NAMES[int(found.owner[pfn])], found.whose


def _quick_owner_of(pfn: int) -> tuple[str, str] | None:
    """What the census would find, where the frame's own struct page decides it.

    None where it takes the whole census. Raises memory.Fault, Broken.
    """
    if not any(first <= pfn <= last for first, last in _ram()):
        return NO_RAM_NAME, ""
    own = page.pfn_to_page(pfn)
    flags = page.flag_names(Page(kernel.memory(), own).flags)
    if "reserved" in flags:
        first, last = _image_frames()
        return NAMES[IMAGE if first <= pfn <= last else RESERVED], ""
    free = buddy.free_block(pfn)
    if free is not None:
        zone = mmzone.zone_of(pfn)
        where = f"{zone}, order {free.order}" if zone else ""
        return NAMES[FREE], where
    head = page.compound_head(own)
    if "slab" not in page.flag_names(Page(kernel.memory(), head).flags):
        return None
    owner = slub.read_slab(head).slab_cache
    for cache in slub.for_each_cache():
        if cache.address == owner:
            return NAMES[SLAB], slub.cache_name(cache)
    return None


def _image_frames() -> tuple[int, int]:
    """The first and last frame of the kernel image."""
    start, end = regions.image()
    base = kernel.memory().phys_base - START_KERNEL_MAP
    return start + base >> 12, end - 1 + base >> 12


def _ram() -> Iterator[tuple[int, int]]:
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
    first, last = _image_frames()
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
    found.claim(SLAB, frames, "a cache that is on no list")


def _tables_and_stacks(found: Census, pages: MemMap, heads: Frames) -> None:
    """Page tables and kernel stacks; and whose anonymous memory is. Raises Broken."""
    seen: set[int] = set()
    kernel_pgd = kernel.memory().kernel_pgd
    tables, _, _ = _tables_of(kernel_pgd, range(256, 512))
    found.claim(PAGE_TABLE, tables, "the kernel")
    anonymous = np.flatnonzero(_is_anonymous(pages)[heads])
    is_anonymous = np.zeros(len(pages.words), np.bool_)
    is_anonymous[anonymous] = True
    for thread in task.for_each_process_thread():
        read = TaskStruct(kernel.memory(), thread)
        name = f"{task.comm_text(read.comm)} {read.pid}"
        _stack(found, thread, name)
        if not read.mm or read.mm in seen:
            continue
        seen.add(read.mm)
        _space(found, read.mm, name, is_anonymous)
    for space in spaces(pages):
        if space not in seen:
            _space(found, space, NO_PROCESS, is_anonymous)


def _space(
    found: Census,
    space: Ptr[MmStruct],
    whose: str,
    is_anonymous: Bools,
) -> None:
    """The page tables of an address space, and the anonymous memory in it."""
    tables, mapped, middle = _tables_of(mm.pgd_of(space), range(256))
    found.claim(PAGE_TABLE, tables, whose)
    found.claim(PAGE_TABLE, _deposited(middle), whose)
    mapped = mapped[(mapped >= 0) & (mapped < len(is_anonymous))]
    found.claim(ANONYMOUS, mapped[is_anonymous[mapped]], whose)


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


def _stack(found: Census, thread: Ptr[TaskStruct], name: str) -> None:
    """A task's kernel stack, wherever it is mapped."""
    stack = registers.task_stack_page(thread)
    if not stack:
        return
    found.claim(STACK, _mapped(stack, stack + registers.thread_size()), name)


def _mapped(start: int, end: int) -> Frames:
    """The frames that are mapped at kernel addresses."""
    pgd = kernel.memory().kernel_pgd
    walks = (pgtable.walk(pgd, address) for address in range(start, end, PAGE_SIZE))
    frames = [walk.physical // PAGE_SIZE for walk in walks if walk.physical is not None]
    return np.array(frames, np.int64)


def _deposited(middle: list[int]) -> Frames:
    """Tables that wait for huge pages to be split: pgtable_trans_huge_deposit().

    :param middle: the frames of page middle directories
    :raises Broken: a list is damaged
    """
    if not structs.has_member("struct page", "pmd_huge_pte"):
        return np.zeros(0, np.int64)  # in struct ptdesc since v6.6 (f8546d84fd9f)
    inside = structs.offsetof("struct page", "lru")
    guest, frames = kernel.memory(), []
    for pfn in middle:
        place = Ptr[PmdPage](page.pfn_to_page(pfn))
        first = PmdPage(guest, place).pmd_huge_pte
        if first:
            frames.append(page.page_to_pfn(first))
            for link in lists.list_for_each(Ptr[ListHead](first + inside)):
                frames.append(page.page_to_pfn(Ptr[Page](link - inside)))
    return np.array(frames, np.int64)


def _tables_of(pgd: int, indexes: range) -> tuple[Frames, Frames, list[int]]:
    """The frames of the page tables below a part of the top one, it too.

    With what is mapped, and with those of the tables that are page middle directories.

    :raises Broken: a table lies outside of RAM
    """
    middle: list[int] = []
    tables, mapped = [pgd // PAGE_SIZE], [np.zeros(0, np.int64)]
    to_do = [(kernel.memory().levels, pgd, indexes)]
    seen = {pgd}
    while to_do:
        level, table, wanted = to_do.pop()
        entries = read_entries(table)[wanted.start : wanted.stop]
        present = entries[entries & np.uint64(PAGE_PRESENT) != 0]
        targets = (present & np.uint64(PHYSICAL_MASK)).astype(np.int64)
        large = (present & np.uint64(PAGE_PSE) != 0) & (level in (2, 3))
        if level == 1:
            mapped.append(targets // PAGE_SIZE)
            continue
        if level == 2:
            middle.append(table // PAGE_SIZE)
        size = 512 ** (level - 1)
        for target in targets[large]:
            first = int(target) // PAGE_SIZE & -size
            mapped.append(np.arange(first, first + size))
        for target in targets[~large]:
            below = int(target)
            if below not in seen:  # huge pages of one file may share a table
                seen.add(below)
                tables.append(below // PAGE_SIZE)
                to_do.append((level - 1, below, range(512)))
    return np.array(tables, np.int64), np.concatenate(mapped), middle


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
    for one in vmalloc.for_each_vmap_area():
        if one.vm is None or not one.vm.flags & vmalloc.VM_ALLOC:
            continue
        start, end = one.vm.addr, one.vm.addr + one.vm.size
        caller = kallsyms.sprint_short(one.vm.caller) if one.vm.caller else "?"
        kind, whose = VMALLOC, caller
        if start in names:
            kind, whose = MODULE, names[start]
        elif caller.startswith(PERCPU_CALLER):
            kind = PERCPU
        found.claim(kind, _mapped(start, end), whose)


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
    found.claim(
        ANONYMOUS, left[words & np.uint64(3) == PAGE_MAPPING_ANON], "in no process"
    )
    found.claim(
        ANONYMOUS, left[words & np.uint64(3) == PAGE_MAPPING_KSM], "shared by KSM"
    )
    found.claim(MOVABLE, left[words & np.uint64(3) == PAGE_MAPPING_MOVABLE])
    cached = left[(words != 0) & (words & np.uint64(3) == 0)]
    owners = mapping[cached]
    for place in np.unique(owners)[:MOST_FILES]:
        name = filemap.mapping_name(Ptr[AddressSpace](int(place)))
        found.claim(PAGE_CACHE, cached[owners == place], name)
