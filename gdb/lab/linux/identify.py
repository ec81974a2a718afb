# SPDX-License-Identifier: GPL-2.0-only
"""What an address of the kernel's half is: the most special first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Callable, Iterable, Iterator

from ..sizes import counted
from ..target import kernel, members, structs
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE, START_KERNEL_MAP, Broken, Fault
from . import (
    buddy,
    census,
    filemap,
    kallsyms,
    module,
    objects,
    owner,
    page,
    pageframe,
    pagewalk,
    pgtable,
    process,
    processors,
    regions,
    registers,
    resource,
    rmap,
    slub,
    stack,
    startup,
    task as task_,
    vmalloc,
)
from .owner import Owner, Room, Table
from .structs.fs import AddressSpace
from .structs.mm_types import MmStruct, Page
from .structs.sched import TaskStruct
from .structs.slub import KmemCache

ENTRY_AREA = "struct cpu_entry_area"


@dataclass(frozen=True)
class Fact:
    """One thing that an address is or belongs to."""

    kind: str  # "object", "symbol", "kernel stack", ...: a word or two
    what: str
    start: int | None = None  # where it starts, None where it has no address
    part: str = ""  # what of it is at the address


def identify(address: int) -> list[Fact]:
    """All that a canonical address of the kernel's half is, the most special first.

    The last one is the region; what is damaged on the way is a Fact of its own.
    """
    region = regions.region_of(address)
    if region is None:
        return [Fact("nothing", "an address in no region of the kernel's half")]
    walk = pgtable.walk(kernel.memory().kernel_pgd, address)
    found = list(_virtual(address, region.name))
    if walk.physical is None:
        why = walk.broken or f"its {walk.last.name} entry is empty"
        found.append(Fact("not mapped", why))
    else:
        found += physical(walk.physical, region.name)
    found.append(Fact("region", f"{region.name}: {region.meaning}", region.start))
    return found


def _virtual(address: int, region: str) -> Iterator[Fact]:
    """What is known by the address itself, whatever frame is mapped there."""
    for step in STEPS.get(region, ()):
        try:
            yield from step(address)
        except (Fault, Broken) as trouble:
            yield Fact("not known", str(trouble))


def physical(address: int, region: str = "") -> list[Fact]:
    """What is known of a physical address by its page frame.

    :param region: in which it was found, and whose own facts are known: they come not
        again. "" for none
    """
    try:
        kernel.memory().physical.locate(address, 1)
    except Fault:
        return list(_resources(address))
    pfn, found = address // PAGE_SIZE, []
    try:
        whose = _owner(pfn)
        name = whose.words
        found += list(_owned(address, whose, region))
    except (Fault, Broken) as trouble:
        name = f"not known whose: {trouble}"
    if region != "direct map":
        alias = kernel.memory().page_offset + address
        if pgtable.walk(kernel.memory().kernel_pgd, alias).physical == address:
            found.append(Fact("direct map", "the same byte", alias))
    inside = f"{address % PAGE_SIZE:#x} of {PAGE_SIZE:#x}"
    found.append(
        Fact("page frame", f"{pfn:#x}: {name}", pfn * PAGE_SIZE, f"byte {inside}")
    )
    return found


def _owner(pfn: int) -> Owner:
    """As owner.owner_of(). Raises Broken, memory.Fault.

    Until memblock has handed them over no frame has an owner.
    """
    if not startup.has_page_allocator():
        raise Broken("the page allocator is not set up yet")
    return owner.owner_of(pfn)


def _resources(address: int) -> Iterator[Fact]:
    """What is there if it is no RAM: a device's, or a hole."""
    try:
        names = [piece.name for piece in resource.resources_at(address)]
    except Broken as trouble:
        names = [f"not known: {trouble}"]
    what = " > ".join(names) or "a hole: nothing is there"
    yield Fact("no RAM", f"physical address {address:#x}: {what}")


def _owned(address: int, whose: Owner, region: str) -> Iterator[Fact]:
    """What a byte of RAM is, by the owner of its frame. Raises Broken, memory.Fault."""
    if whose.table is not None:
        yield _page_table(address, whose.table)
    finder = OWNED.get(whose.kind)
    if finder is not None:
        yield from finder(address)
    if region not in ("", "direct map"):
        return
    if whose.room is not None:
        yield from _in_vmalloc(address, whose.room)
    elif whose.kind == census.NAMES[census.RESERVED]:
        yield from _struct_pages(address)
        yield from _per_cpu(kernel.memory().page_offset + address)
    elif whose.kind == census.NAMES[census.IMAGE]:
        image = address - kernel.memory().phys_base + START_KERNEL_MAP
        yield from _virtual(image, "kernel image")


# --- By the address ------------------------------------------------------------------


def _image(address: int) -> Iterator[Fact]:
    """A symbol of the kernel image, its source line, its section."""
    for symbol in kallsyms.around(address):
        yield _symbol(symbol, address)
    for section in regions.sections():
        if section.start <= address < section.end:
            what = f"{section.name} of the kernel"
            if section.name == "init" and _is_given_back(section.physical_of(address)):
                what += ", whose memory was given back after boot"
            yield Fact("section", what, section.start)


def _is_given_back(address: int) -> bool:
    """Has the kernel freed this part of its image? Raises Broken, memory.Fault."""
    if not startup.has_page_allocator():
        return False
    return _owner(address // PAGE_SIZE).kind != census.NAMES[census.IMAGE]


def _symbol(symbol: module.Symbol, address: int) -> Fact:
    """A symbol, and which line or which offset of it."""
    source = str(kallsyms.source_of(address))
    name = f"{symbol.name} [{symbol.module}]" if symbol.module else symbol.name
    part = f"+{address - symbol.start:#x}"
    return Fact("symbol", name, symbol.start, f"{part}, {source}" if source else part)


def _module(address: int) -> Iterator[Fact]:
    """A module's symbol, section and piece of memory. Raises Broken, memory.Fault."""
    for piece in module.for_each_module():
        if not piece.holds(address):
            continue
        symbol = module.module_address_lookup(address)
        if symbol is not None:
            yield _symbol(symbol, address)
        names = module.in_symbol_table(piece, address)
        if names is not None:
            yield Fact("symbol table", f"of {piece.module}", names[0], names[1])
        else:
            behind = [
                section
                for section in module.sections(piece.address)
                if piece.start <= section.start <= address
            ]
            if behind:
                last = max(behind, key=lambda section: section.start)
                yield Fact("section", f"{last.name} of {piece.module}", last.start)
        yield Fact("module", f"{piece.module}, {piece.what}", piece.start)
        return


def _area(address: int) -> Iterator[Fact]:
    """What an address of the vmalloc region is. Raises Broken, memory.Fault."""
    yield from _stacks(address)
    yield from _per_cpu(address)
    for one in vmalloc.for_each_vmap_area():
        if one.area.va_start <= address < one.area.va_end:
            yield _vmap_area(one, address)


def _vmap_area(one: vmalloc.Area, address: int) -> Fact:
    """A range of the vmalloc region, and where in it an address is."""
    start = one.area.va_start
    if one.is_purged_soon:
        return Fact("vmalloc area", "given back, not purged yet", start)
    if one.vm is None:
        return Fact("vmalloc area", "of vm_map_ram()", start)
    caller = kallsyms.sprint_short(one.vm.caller) if one.vm.caller else "?"
    if caller.startswith(census.PERCPU_CALLER):
        caller += _unit(address - start)
    number = (address - start) // PAGE_SIZE
    part = f"page {number} of {(one.area.va_end - start) // PAGE_SIZE}"
    if not one.vm.flags & vmalloc.VM_NO_GUARD and number * PAGE_SIZE >= (
        one.vm.size - PAGE_SIZE
    ):
        part += ", the guard page"
    return Fact("vmalloc area", f"by {caller}", start, part)


def _unit(inside: int) -> str:
    """Which CPU's part of a chunk of per-CPU memory an offset is in, "" if unknown."""
    if kernel.read_int("pcpu_nr_groups") != 1:
        return ""  # each group has its own range of addresses
    guest, size = kernel.memory(), kernel.read_int("pcpu_unit_size")
    offsets = guest.u64(structs.address_of("pcpu_unit_offsets"))
    for cpu in processors.possible_cpus():
        if 0 <= inside - guest.u64(offsets + 8 * cpu) < size:
            return f", for CPU {cpu}"
    return ""


def _stacks(address: int) -> Iterator[Fact]:
    """The kernel stack of a task, or one of a CPU's. Raises Broken, memory.Fault."""
    yield from _stacks_of(task_.for_each_process_thread(), address)
    yield from _own_stacks(address)


def _own_stacks(address: int) -> Iterator[Fact]:
    """Those that are no process's: where the kernel starts, and where CPUs idle."""
    # The first CPU's task, before it has a run queue
    yield from _stacks_of(chain([task_.init_task()], process.idle_tasks()), address)
    for processor in processors.processors():
        for one in stack.processor_stacks(processor):
            if one.start <= address < one.end and one.name != "entry":
                part = f"{counted(one.end - address, 'byte')} below its top"
                what = f"of CPU {processor.cpu}: {one.name}"
                yield Fact("CPU stack", what, one.start, part)


def _stacks_of(threads: Iterable[Ptr[TaskStruct]], address: int) -> Iterator[Fact]:
    """The kernel stack of one of these tasks."""
    size = registers.thread_size()
    for thread in threads:
        start = registers.task_stack_page(thread)
        if start and start <= address < start + size:
            yield _task_stack(thread, start, address)
            return


def _task_stack(thread: Ptr[TaskStruct], start: int, address: int) -> Fact:
    """How deep in a task's stack an address is, and in whose frame."""
    read = task_.task(thread)
    end = start + registers.thread_size()
    part = f"{counted(end - address, 'byte')} below its top"
    regs = registers.task_pt_regs(thread)
    if address >= regs:
        member = members.path_at("struct pt_regs", address - regs)
        part += f", struct pt_regs.{member}" if member else ""
    else:
        part += f", {_frame(thread, address)}"
    return Fact("kernel stack", f"of {read.comm}, pid {read.pid}", start, part)


def _frame(thread: Ptr[TaskStruct], address: int) -> str:
    """In which function's frame an address of a kernel stack is."""
    processor = processors.running_on(thread)
    pointer = TaskStruct(kernel.memory(), thread).thread_sp
    if processor is not None:
        if processor.in_user_mode:
            return "not in use: the task runs in user mode"
        pointer = processor.registers["rsp"]
        start = registers.task_stack_page(thread)
        if not start <= pointer < start + registers.thread_size():
            return "the CPU is on another stack"
    if address < pointer:
        return "not in use now"
    inside = ""
    try:
        for frame in stack.unwind(thread, processor):
            if frame.kind == "call" and address < frame.place + stack.FRAME.size:
                return f"in the frame of {inside}" if inside else "in use"
            inside = frame.symbol
    except Broken:
        pass
    return "in use"


def _per_cpu(address: int) -> Iterator[Fact]:
    """A per-CPU variable, or what is behind them in a CPU's unit of memory.

    See mm/percpu.c. Raises memory.Fault.
    """
    first, last = (structs.address_of(f"__per_cpu_{end}") for end in ("start", "end"))
    unit = kernel.read_int("pcpu_unit_size")
    for cpu, offset in enumerate(processors.per_cpu_offsets()):
        if not offset:
            continue
        base = first + offset & processors.MASK
        place = address - base + first
        if first <= place < last:
            symbol = kallsyms.per_cpu_symbol(place)
            if symbol is not None:
                start = symbol.start + offset & processors.MASK
                part = f"+{place - symbol.start:#x}"
                what = f"{symbol.name} of CPU {cpu}"
                yield Fact("per-CPU variable", what, start, part)
                return
        if base <= address < base + unit:
            what = f"CPU {cpu}'s, behind the variables: modules' and alloc_percpu()'s"
            yield Fact("per-CPU memory", what, base, f"+{address - base:#x}")
            return


def _vmemmap(address: int) -> Iterator[Fact]:
    """Which frame's struct page is there, and what the frame is used for."""
    size = structs.sizeof("struct page")
    pfn, inside = divmod(address - page.vmemmap(), size)
    if pfn >= regions.max_pfn():
        return
    member = members.path_at("struct page", inside)
    what = f"of frame {pfn:#x}"
    try:
        what += f": {_owner(pfn).words}"
    except Broken:
        pass
    yield Fact("struct page", what, address - inside, f".{member}")


def _entry_area(address: int) -> Iterator[Fact]:
    """Which CPU's struct cpu_entry_area, and which member. Raises memory.Fault."""
    estacks = structs.offsetof(ENTRY_AREA, "estacks")
    for cpu in processors.possible_cpus():
        place = processors.per_cpu_ptr(
            Ptr[object](structs.address_of("cea_exception_stacks")), cpu
        )
        start = kernel.memory().u64(place) - estacks
        if start <= address < start + structs.sizeof(ENTRY_AREA):
            member = members.path_at(ENTRY_AREA, address - start)
            yield Fact("CPU entry area", f"of CPU {cpu}", start, f".{member}")
            return
    if address < regions.named("cpu entry area").start + PAGE_SIZE:
        yield Fact("IDT", "the interrupt descriptor table, read-only", None)


def _fixmap(address: int) -> Iterator[Fact]:
    """Which fixed address it is: enum fixed_addresses."""
    number = regions.FIXADDR_TOP - (address & -PAGE_SIZE) >> 12
    for name, index in structs.enumerators("enum fixed_addresses").items():
        if index == number and not name.startswith("__end"):
            yield Fact("fixed address", name, address & -PAGE_SIZE)
            return


STEPS: dict[str, tuple[Callable[[int], Iterator[Fact]], ...]] = {
    "kernel image": (_own_stacks, _image),
    "modules": (_module,),
    "vmalloc": (_area,),
    "vmemmap": (_vmemmap,),
    "cpu entry area": (_own_stacks, _entry_area),
    "fixmap": (_fixmap,),
}

# --- By the frame --------------------------------------------------------------------


def _object(address: int) -> Iterator[Fact]:
    """Which object of which slab cache. Raises Broken, memory.Fault."""
    head = page.compound_head(page.pfn_to_page(address // PAGE_SIZE))
    cache, slab = slub.slab_around(head)
    name = slub.cache_name(cache)
    first = slab.start + (cache.red_left_pad or 0)
    number, inside = divmod(kernel.memory().page_offset + address - first, cache.size)
    if not 0 <= number < slab.objects:
        what = f"what the {slab.objects} objects of a slab of {name} leave over"
        yield Fact("slab", what, slab.start)
        return
    start = first + number * cache.size
    state = "free" if number in slab.free else "in use"
    what = f"{number} of a slab of {name}, {state}"
    if cache.refcount > 1:
        what += f"; {cache.refcount} caches share it, so its type is not known"
    elif state == "in use":
        told = _told(name, start)
        what += f": {told}" if told else ""
    yield Fact("object", what, start, _member(name, cache, inside))
    yield Fact("slab", f"of {name}, {slab.where}", slab.start)


def _told(cache: str, start: int) -> str:
    """Who an object is, "" where its type is not known."""
    teller = objects.teller(cache)
    if teller is None:
        return ""
    try:
        return teller(start)
    except (Fault, Broken) as trouble:
        return f"not known, {trouble}"


def _member(name: str, cache: KmemCache, inside: int) -> str:
    """Which member of an object, or only how far in it."""
    if inside >= cache.object_size:
        return f"+{inside:#x}, behind its {cache.object_size} bytes"
    kind = objects.type_of(name) if cache.refcount == 1 else ""
    member = members.path_at(kind, inside) if kind else ""
    return f"{kind}.{member}" if member else f"+{inside:#x}"


def _table_of_image(address: int) -> Iterator[Fact]:
    """The kernel's page tables that are in its image. Raises Broken."""
    table = owner.find_table_of_kernel(address // PAGE_SIZE)
    if table is not None:
        yield _page_table(address, table)


def _page_table(address: int, table: Table) -> Fact:
    """Whose page table, of which level, and what the entry there maps."""
    number = address % PAGE_SIZE // 8
    whose = table.whose
    if table.task is not None:
        whose = f"{task_.comm_text(table.task.comm)}, pid {table.task.pid}"
    entry = owner.canonical(table.first + (number << 12 + 9 * (table.level - 1)))
    return Fact(
        "page table",
        f"of {whose}: {pgtable.level_name(table.level)}, for {table.first:#x} on",
        kernel.memory().page_offset + (address & -PAGE_SIZE),
        f"entry {number}, for {entry:#x}",
    )


def _cached(address: int) -> Iterator[Fact]:
    """Which page of which file. Raises memory.Fault."""
    head, inside = _in_block(address)
    read = Page(kernel.memory(), head)
    name = filemap.mapping_name(Ptr[AddressSpace](read.mapping))
    index = read.index
    if page.is_huge(head):  # counted in huge pages: until v6.7 (a08c7193e4f1)
        index <<= page.compound_order(head)
    offset = index * PAGE_SIZE + inside
    yield Fact("page cache", name, None, f"byte {offset:#x} of the file")


def _in_block(address: int) -> tuple[Ptr[Page], int]:
    """The first page of the block around a physical address, and how far that is in it."""
    own = page.pfn_to_page(address // PAGE_SIZE)
    head = page.compound_head(own)
    pages = page.page_to_pfn(own) - page.page_to_pfn(head)
    return head, pages * PAGE_SIZE + address % PAGE_SIZE


def _anonymous(address: int) -> Iterator[Fact]:
    """Which processes have a page of anonymous memory, and where: rmap_walk_anon().

    Raises Broken, memory.Fault.
    """
    head, _ = _in_block(address)
    if Page(kernel.memory(), head).mapping & 3 == pageframe.PAGE_MAPPING_KSM:
        return
    places: dict[Ptr[MmStruct], list[int]] = {}
    for space, place in rmap.rmap_walk_anon(address // PAGE_SIZE):
        places.setdefault(space, []).append(place)
    for thread in task_.for_each_process_thread() if places else ():
        read = TaskStruct(kernel.memory(), thread)
        for place in sorted(places.pop(read.mm, [])):
            whose = f"{task_.comm_text(read.comm)}, pid {read.pid}"
            yield Fact("anonymous memory", f"of {whose}", place + address % PAGE_SIZE)


def _free(address: int) -> Iterator[Fact]:
    """Which free block. Raises Broken, memory.Fault."""
    block = buddy.Lists().block(address // PAGE_SIZE)
    if block is None:
        return
    number = address // PAGE_SIZE - block.first
    yield Fact(
        "free block",
        f"of order {block.order}, {block.where}",
        kernel.memory().page_offset + block.first * PAGE_SIZE,
        f"page {number} of {1 << block.order}",
    )


def _in_vmalloc(address: int, room: Room) -> Iterator[Fact]:
    """What is where vmalloc() has a frame mapped. Raises Broken, memory.Fault."""
    place = room.address + address % PAGE_SIZE
    region = regions.region_of(place)
    if region is not None:
        yield from _virtual(place, region.name)
    yield Fact("mapped", "by vmalloc() too", place)


def _struct_pages(address: int) -> Iterator[Fact]:
    """The struct page at a physical address, if that is part of the array."""
    frames = struct_pages_in(address)
    if frames is None:
        return
    first, last = frames
    yield Fact("struct pages", f"of the frames {first:#x} to {last:#x}")


def struct_pages_in(address: int) -> tuple[int, int] | None:
    """The first and last page frame whose struct page is in the same frame as a byte.

    None if that is not part of the array. Raises Broken, memory.Fault.

    :param address: physical
    """
    start, size = page.vmemmap(), structs.sizeof("struct page")
    end = start + regions.max_pfn() * size
    end = -(-end // PAGE_SIZE) * PAGE_SIZE
    pgd = kernel.memory().kernel_pgd
    for where, room, level, value in pagewalk.walk_page_range(pgd, start, end):
        entry = pgtable.Entry(level, "", 0, 0, value)
        inside = address - entry.target
        if entry.is_present and 0 <= inside < room:
            first = (where + (inside & -PAGE_SIZE) - start) // size
            return first, first + PAGE_SIZE // size - 1
    return None


OWNED: dict[str, Callable[[int], Iterator[Fact]]] = {
    census.NAMES[kind]: finder
    for kind, finder in {
        census.SLAB: _object,
        census.IMAGE: _table_of_image,
        census.PAGE_CACHE: _cached,
        census.ANONYMOUS: _anonymous,
        census.FREE: _free,
        census.PER_CPU_LIST: _free,
    }.items()
}
OWNED[census.NO_RAM_NAME] = _resources
