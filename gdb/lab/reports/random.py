# SPDX-License-Identifier: GPL-2.0-only
"""What is randomised, and by how much: in a process, and in the kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Iterator, NamedTuple

from ..linux import elf_randomize, regions, task, taskflags, vma
from ..linux.elf_randomize import Layout, Process, Spread
from ..linux.kaslr import MODULE_PLACES, PUD_SIZE, Image
from ..linux.structs.mm_types import MmStruct
from ..linux.structs.sched import TaskStruct
from ..linux.structs.x86 import VdsoImage
from ..programs import elf
from ..programs.elf import Program
from ..result import Address, Check, Number, Report, Size, Table, Words
from ..sizes import counted, rough_size
from ..target import elffile, fits, kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE, Broken, Fault


class PlaceRow(NamedTuple):
    """Something that exec puts at a place that may be random."""

    what: Words
    here: Address
    unrandomised: Address | None
    away: Address | None
    bits: Words | None
    places: Number | None
    step: Size | None
    fits: Check
    how: Words


class KernelRow(NamedTuple):
    """Something of the kernel's that may be at a random place."""

    what: Words
    here: Address | None
    unrandomised: Address | None
    away: Address | None
    bits: Words
    could_be: Words | None
    step: Size | None
    how: Words


class SwitchRow(NamedTuple):
    """What decides about it, and what in the kernel shows that it has."""

    switch: Words
    value: Words
    shown_by: Words | None
    agrees: Check | None
    about: Words


@dataclass
class RandomReport(Report, schema="random"):
    """What is randomised in a process and in the kernel, and what switches that."""

    process: str
    places: Table[PlaceRow] | None
    kernel: Table[KernelRow]
    switches: Table[SwitchRow]


def describe(
    of: tuple[Ptr[TaskStruct], Ptr[MmStruct]] | str,
) -> RandomReport:
    """Look at a process, and at the kernel.

    :param of: the process, or why there is none to look at
    :raises Fault: its structures cannot be read
    """
    heading, places = "", None
    if isinstance(of, str):
        heading = of
    else:
        process = elf_randomize.process(*of)
        heading, places = _heading(of[0], process), _places(process)
    return _with_kernel(heading, places, Image(0, kernel.memory().read))


def describe_moved(offset: int) -> RandomReport:
    """Look at a kernel that KASLR has moved so many bytes up: by way of the processor.

    :raises Fault: it does not see the kernel, as in user mode with page-table isolation
    """
    heading = (
        f"KASLR has moved this kernel by {offset >> 20} MiB, so the addresses in vmlinux "
        "do not apply: processes cannot be shown."
    )
    return _with_kernel(heading, None, Image(offset))


def _with_kernel(
    heading: str, places: Table[PlaceRow] | None, image: Image
) -> RandomReport:
    why = ""
    options: dict[str, str] | None = None
    try:
        options = image.options()
    except (Broken, Fault) as broken:
        why = str(broken)
    switches = _switches(image, options)
    switches.broken = switches.broken or why
    return RandomReport(heading, places, _kernel(image, options or {}), switches)


def bits_text(bits: float) -> str:
    """A number of bits with one decimal where it is not whole."""
    return f"{bits:.1f}".removesuffix(".0")


# --- A process ---------------------------------------------------------------


def _heading(address: Ptr[TaskStruct], of: Process) -> str:
    read, setting = task.task(address), elf_randomize.randomize_va_space()
    width = "a 32-bit" if of.is_32bit else "a 64-bit"
    text = f"{read.comm}, pid {read.pid}, {width} process: "
    if of.is_randomised:
        text += "its addresses are random (PF_RANDOMIZE)"
    elif of.personality & elf_randomize.ADDR_NO_RANDOMIZE:
        text += "nothing is random, since its personality has ADDR_NO_RANDOMIZE"
    else:
        text += (
            "nothing is random, since at its exec randomize_va_space was 0, or its "
            "personality another"
        )
    personality = taskflags.personality_text(of.personality)
    return f"{text}. randomize_va_space is {setting}; personality {personality}."


def _places(of: Process) -> Table[PlaceRow]:
    table = Table(PlaceRow, "places that exec chose")
    for rows in (_stack, _mappings):
        try:
            table.rows += rows(of)
        except (Broken, Fault) as why:
            table.broken = str(why)
    return table


def _row(
    what: str,
    here: int,
    spread: Spread | None,
    how: str,
    unrandomised: int | None = None,
) -> PlaceRow:
    """A row; the unrandomised address is the spread's start if it is not given."""
    fixed: int | None = unrandomised
    fits: bool | str = "not known"
    if spread is not None:
        fixed = spread.start if fixed is None else fixed
        fits = spread.has(here) or "no: moved since, or not by the kernel"
    return PlaceRow(
        what=what,
        here=here,
        unrandomised=fixed,
        away=None if fixed is None else abs(here - fixed),
        bits=None if spread is None else bits_text(spread.bits),
        places=None if spread is None else spread.places,
        step=None if spread is None else abs(spread.step),
        fits=fits,
        how=how,
    )


def _stack(of: Process) -> Iterator[PlaceRow]:
    mm = of.mm
    area = vma.vma_lookup(mm.address, mm.start_stack)
    if area is None:
        return
    top, end = of.stack_top, area.vm_end
    how = f"randomize_stack_top(): pages below {top:#x}"
    yield _row("stack", end, elf_randomize.stack_end(of), how)
    platform = dict(elf.saved_auxv(mm.address)).get(elf.AT_PLATFORM)
    if platform is None or of.is_32bit:
        return
    lowered = elf_randomize.aligned_by(of, platform + len(elf.PLATFORM))
    how = f"with the stack, and lowered by {lowered:#x} more in arch_align_stack()"
    yield _row("stack pointer", mm.start_stack, _pointer(of, end, lowered), how)


def _pointer(of: Process, end: int, lowered: int) -> Spread | None:
    """Where the stack pointer can be; None if prctl(PR_SET_MM) has moved the arguments."""
    if not 0 <= lowered <= elf_randomize.ALIGN_STACK:
        return None
    return elf_randomize.stack_pointer(of, end, lowered)


def _mappings(of: Process) -> Iterator[PlaceRow]:
    layout, base = elf_randomize.mmap_layout(of), elf_randomize.mmap_base_of(of)
    if layout is None:
        return
    how = f"arch_mmap_rnd(): pages {_way(layout)} {layout.base.start:#x}"
    if layout.base.start != layout.unrandomised:
        room = layout.unrandomised - layout.base.start
        how += f", which leaves {rough_size(room)} to move the stack"
    yield _row("mmap_base", base, layout.base, how, layout.unrandomised)
    if of.is_32bit:
        return  # the rest of the headers would have to be read as 32-bit ones
    program = elf.program(of.mm.address)
    first = 0  # bytes that exec has mapped at mmap_base
    interpreter = dict(elf.saved_auxv(of.mm.address)).get(elf.AT_BASE, 0)
    is_loader = program.header.e_type == elffile.ET_DYN and not interpreter
    if interpreter:
        loads = elf.mapped_loads(of.mm.address, interpreter)
        first = elf.page_up(elf.total_mapping_size(loads))
        yield _mapped(layout, base, "interpreter", interpreter, first)
    if is_loader:
        first = elf.page_up(elf.total_mapping_size(program.loads))
        yield _loader(layout, base, program, first)
    else:
        yield _program(of, program)
    yield _heap(of, program, is_loader)
    yield from _vdso(of, layout, base, first)


def _way(layout: Layout) -> str:
    return "below" if layout.topdown else "above"


def _start(program: Program) -> int:
    """Where the first LOAD of a program is mapped."""
    start = min((load.p_vaddr for load in program.loads), default=0)
    return elf.page_down(program.bias + start)


def _mapped(
    layout: Layout, base: int, what: str, here: int, size: int, align: int = 1
) -> PlaceRow:
    """Something that exec maps first, at mmap_base: it moves with that."""
    spread = layout.base._replace(start=layout.place(base, 0, size) & -align, places=1)
    row = _row(
        what,
        here,
        spread,
        f"{rough_size(size)} {_way(layout)} mmap_base, with which it moves",
        layout.place(layout.unrandomised, 0, size) & -align,
    )
    places = layout.base.places
    return row._replace(places=places, bits=bits_text(math.log2(places)))


def _loader(layout: Layout, base: int, program: Program, size: int) -> PlaceRow:
    """A position-independent program without interpreter."""
    here, align = _start(program), 1
    if here != layout.place(base, 0, size):
        align = elf.maximum_alignment(program.loads)  # as newer kernels align it
    return _mapped(layout, base, "program", here, size, align)


def _program(of: Process, program: Program) -> PlaceRow:
    here = _start(program)
    if program.header.e_type != elffile.ET_DYN:
        fixed = Spread(elf.page_down(here - program.bias), PAGE_SIZE, 1)
        return _row("program", here, fixed, "ET_EXEC: linked for this address")
    first = min((load.p_vaddr for load in program.loads), default=0)
    align = elf.maximum_alignment(program.loads)
    spread = elf_randomize.program(of, first, align)
    how = f"arch_mmap_rnd(): pages above ELF_ET_DYN_BASE, {spread.start:#x}"
    return _row("program", here, spread, how)


def _heap(of: Process, program: Program, is_loader: bool) -> PlaceRow:
    ends = (load.p_vaddr + load.p_memsz for load in program.loads)
    end = program.bias + max(ends, default=0)
    spread = elf_randomize.heap(of, end, is_loader)
    start = "ELF_ET_DYN_BASE" if is_loader else "the end of the program"
    if spread is not None and spread.places == 1:
        how = "behind the program: random only with randomize_va_space 2"
    else:
        how = f"arch_randomize_brk(): pages above {start}"
    fixed = elf_randomize.heap_unrandomised(of, end, is_loader)
    return _row("heap", of.mm.start_brk, spread, how, fixed)


def _vdso(of: Process, layout: Layout, base: int, first: int) -> Iterator[PlaceRow]:
    here = dict(elf.saved_auxv(of.mm.address)).get(elf.AT_SYSINFO_EHDR)
    if here is None:
        return
    place = Ptr[VdsoImage](structs.address_of("vdso_image_64"))
    image = VdsoImage(kernel.memory(), place)
    data = -image.sym_vvar_start  # the pages in front of it
    size = image.size + data
    fixed = layout.place(layout.unrandomised, first, size) + data
    spread = elf_randomize.vdso_addr(of, size)
    spread = spread._replace(start=spread.start + data)
    how = f"vdso_addr(): behind the stack, {counted(spread.places, 'page')} to choose"
    if not spread.has(here):
        start = layout.place(base, first, size) + data
        spread = Spread(start, layout.base.step, 1)
        how = "no room behind the stack: where mmap() put it, next to what was there"
    yield _row("vdso", here, spread, how, fixed)


# --- The kernel --------------------------------------------------------------


def _kernel(image: Image, options: dict[str, str]) -> Table[KernelRow]:
    table = Table(KernelRow, "the kernel")
    for rows in (_image, _regions, _modules, _kernel_stack):
        try:
            table.rows += rows(image, options)
        except Fault as why:
            table.broken = str(why)
    return table


def _at(
    what: str,
    here: int,
    fixed: int,
    places: int | None,
    step: int,
    how: str,
    is_on: bool,
) -> KernelRow:
    """A row of something with an address.

    :param places: among how many it could be chosen; None: not known
    :param is_on: whether it was
    """
    could = None if places is None else bits_text(math.log2(places))
    bits = (could or "?") if is_on else "0"
    return KernelRow(
        what=what,
        here=here,
        unrandomised=fixed,
        away=abs(here - fixed),
        bits=bits,
        could_be=could,
        step=step,
        how=how,
    )


def _image(image: Image, options: dict[str, str]) -> Iterator[KernelRow]:
    link, is_on = structs.address_of("_text"), image.kaslr_enabled()
    places, step = image.virtual_places(options)
    number = image.moved // step
    how = f"slot {number} of {places}" if is_on else image.why_not_moved()
    if not image.can_be_moved():
        places = 1
    yield _at("kernel image", image.text, link, places, step, how, is_on)
    how = "chosen apart from that, where RAM has room"
    here, fixed = image.physical, image.linked_physical
    yield _at("the image in RAM", here, fixed, None, step, how, is_on)


def _regions(image: Image, options: dict[str, str]) -> Iterator[KernelRow]:
    is_on = image.memory_is_randomised(options)
    for region in image.movable_regions(options):
        how = "as without CONFIG_RANDOMIZE_MEMORY"
        if region.entropy is not None:
            room = rough_size(region.entropy)
            how = f"kernel_randomize_memory(): {room} of room behind what is before it"
        base, fixed, places = region.base, region.fixed, region.places
        yield _at(region.name, base, fixed, places, PUD_SIZE, how, is_on)


def _modules(image: Image, _: dict[str, str]) -> Iterator[KernelRow]:
    if not structs.has_symbol("module_load_offset"):
        return
    start, offset = regions.modules_vaddr(), image.number("module_load_offset")
    is_on = image.kaslr_enabled()
    how = "get_module_load_offset(), for all modules the same"
    if is_on and not offset:
        how = "chosen when the first module is loaded; none was"
    here = start + offset
    yield _at("modules", here, start, MODULE_PLACES, PAGE_SIZE, how, is_on)


def _kernel_stack(image: Image, _: dict[str, str]) -> Iterator[KernelRow]:
    if not structs.has_symbol("randomize_kstack_offset"):
        return
    # The task has it where all ten bits of KSTACK_OFFSET_MAX() come from the clock
    later = structs.has_member("struct task_struct", "kstack_offset")
    could = "7" if later else "5 to 7"
    is_on = image.number("randomize_kstack_offset", 4) > 0
    yield KernelRow(
        what="kernel stack",
        here=None,
        unrandomised=None,
        away=None,
        bits=could if is_on else "0",
        could_be=could,
        step=8,
        how="add_random_kstack_offset(): anew in each system call",
    )


# --- Switches ----------------------------------------------------------------


class Option(NamedTuple):
    """An option of the kernel, and the symbol or member that is there only with it."""

    name: str
    about: str
    symbol: str = ""
    member: tuple[str, str] | None = None


RANDSTRUCT = "GCC_PLUGIN_RANDSTRUCT"
OPTIONS = (
    Option("RANDOMIZE_BASE", "KASLR: the kernel image", "module_load_offset"),
    Option("RANDOMIZE_MEMORY", "direct map, vmalloc, vmemmap", "vmemmap_base"),
    Option("COMPAT_BRK", "no random heap unless asked for"),
    Option("RANDOMIZE_KSTACK_OFFSET", "kernel stack", "randomize_kstack_offset"),
    Option(RANDSTRUCT, "order of members in structures"),
    Option(
        "SLAB_FREELIST_RANDOM",
        "order of free objects in a new slab",
        member=("struct kmem_cache", "random_seq"),
    ),
    Option(
        "SLAB_FREELIST_HARDENED",
        "pointers to free objects are encoded",
        member=("struct kmem_cache", "random"),
    ),
    Option(
        "SHUFFLE_PAGE_ALLOCATOR",
        "order of free blocks of pages",
        "page_alloc_shuffle_key",
    ),
)
WORDS = {
    "nokaslr": "kernel image, direct map, vmalloc, vmemmap, modules",
    "norandmaps": "randomize_va_space starts at 0",
    "randomize_kstack_offset": "kernel stack",
    "page_alloc.shuffle": "order of free blocks of pages",
}


def _switches(image: Image, options: dict[str, str] | None) -> Table[SwitchRow]:
    table = Table(SwitchRow, "what decides")
    for option in OPTIONS:
        table.rows.append(_option(option, options))
    try:
        table.rows += _words(image)
        setting = str(image.number("randomize_va_space", 4))
        about = "0 nothing, 1 all of a process but the heap, 2 the heap too"
        table.rows.append(SwitchRow("randomize_va_space", setting, None, None, about))
        bits = str(image.number("mmap_rnd_bits", 4))
        about = "bits of pages for mmap_base and programs: vm.mmap_rnd_bits"
        table.rows.append(SwitchRow("mmap_rnd_bits", bits, None, None, about))
    except Fault as why:
        table.broken = str(why)
    return table


def _option(option: Option, options: dict[str, str] | None) -> SwitchRow:
    name = f"CONFIG_{option.name}"
    shown, there = None, None
    if option.symbol:
        shown, there = option.symbol, structs.has_symbol(option.symbol)
    elif option.member:
        shown, there = ".".join(option.member), structs.has_member(*option.member)
    elif option.name == RANDSTRUCT:  # then the debug info would be wrong
        shown, there = "init_task", bool(fits.misplaced_member())
    if options is None:  # no copy of the configuration: only what shows it
        value = "not known" if there is None else "y" if there else "not set"
        return SwitchRow(name, value, shown, None, option.about)
    value = options.get(name, "not set")
    agrees: bool | str | None = None
    if there is not None:
        agrees = there == (name in options) or "no: the other way round"
    return SwitchRow(name, value, shown, agrees, option.about)


def _words(image: Image) -> Iterator[SwitchRow]:
    given = dict(word.partition("=")[::2] for word in image.command_line().split())
    for word, about in WORDS.items():
        value = given.get(word)
        text = "not given" if value is None else value or "given"
        yield SwitchRow(f"command line: {word}", text, None, None, about)
