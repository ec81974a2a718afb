# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's half of the address space.

See Documentation/x86/x86_64/mm.rst (since v6.4 Documentation/arch/x86/...) and
arch/x86/include/asm/{page,pgtable}_64_types.h, whose names are used here.
"""

from __future__ import annotations

from typing import NamedTuple

from ..target import kernel, structs
from ..target.memory import PAGE_SIZE, START_KERNEL_MAP
from ..target.placement import PAGE_OFFSETS

TIB = 1 << 40
WORD = 1 << 64
VSYSCALL = WORD - (10 << 20)  # VSYSCALL_ADDR
PMD_SIZE = 2 << 20  # what one page table maps
# The last page of the fixmap, in which vsyscall has a place: asm/fixmap.h
FIXADDR_TOP = -(-(VSYSCALL + PAGE_SIZE) // PMD_SIZE) * PMD_SIZE - PAGE_SIZE
MODULES_END = 0xFFFF_FFFF_FF00_0000
EFI_VA_END, EFI_VA_START = WORD - (68 << 30), WORD - (4 << 30)  # from high to low
P4D_SHIFT = 39
MAX_PHYSMEM_BITS = {4: 46, 5: 52}  # by the levels of page tables: asm/sparsemem.h


class Region(NamedTuple):
    """A range of kernel addresses with one use."""

    start: int
    end: int  # the first address behind it
    name: str
    meaning: str

    @property
    def size(self) -> int:
        return self.end - self.start


class Section(NamedTuple):
    """A part of the kernel image."""

    start: int
    end: int
    name: str
    physical: int

    def physical_of(self, address: int) -> int:
        """Where an address in it is in RAM."""
        return address - self.start + self.physical


def _pgdir_shift() -> int:
    return 39 if kernel.memory().levels == 4 else 48


def _is_five() -> bool:
    return kernel.memory().levels == 5


def _base(symbol: str, fixed: int) -> int:
    """A base that memory randomisation can move, else the fixed one."""
    if structs.has_symbol(symbol):
        return kernel.memory().u64(structs.address_of(symbol))
    return fixed


def default_bases() -> dict[str, int]:
    """Where the movable regions start without memory randomisation."""
    return bases_of(kernel.memory().levels)


def bases_of(levels: int) -> dict[str, int]:
    """The same for so many levels of page tables."""
    direct = PAGE_OFFSETS[levels]
    if levels == 5:
        return {
            "direct map": direct,
            "vmalloc": 0xFFA0_0000_0000_0000,
            "vmemmap": 0xFFD4_0000_0000_0000,
        }
    return {
        "direct map": direct,
        "vmalloc": 0xFFFF_C900_0000_0000,
        "vmemmap": 0xFFFF_EA00_0000_0000,
    }


def vmalloc_size(levels: int) -> int:
    """VMALLOC_SIZE_TB, in bytes, by the levels of page tables."""
    return (12800 if levels == 5 else 32) * TIB


def max_pfn() -> int:
    """The first page frame behind all RAM."""
    return kernel.memory().u64(structs.address_of("max_pfn"))


def high_memory() -> int:
    """Where RAM ends in the direct map, as the kernel keeps it."""
    return kernel.memory().u64(structs.address_of("high_memory"))


def physical_bits() -> int:
    """How many bits a physical address has on this processor."""
    place = structs.offsetof("struct cpuinfo_x86", "x86_phys_bits")
    return kernel.memory().read(structs.address_of("boot_cpu_data") + place, 1)[0]


def kernel_image_size() -> int:
    """KERNEL_IMAGE_SIZE: twice as much where the image can be moved.

    module_load_offset exists with CONFIG_RANDOMIZE_BASE only.
    """
    return 1 << 30 if structs.has_symbol("module_load_offset") else 512 << 20


def fixaddr_start() -> int:
    """FIXADDR_START: what is mapped for good, one page an enumerator."""
    pages = structs.enumerators("enum fixed_addresses")
    return FIXADDR_TOP - (pages["__end_of_permanent_fixed_addresses"] << 12)


def modules_vaddr() -> int:
    """MODULES_VADDR: where the region for modules starts."""
    return START_KERNEL_MAP + kernel_image_size()


def is_moved() -> bool:
    """Did memory randomisation (CONFIG_RANDOMIZE_MEMORY) move the regions?"""
    return kernel.memory().page_offset != default_bases()["direct map"]


def regions() -> list[Region]:
    """All regions from low to high; what lies between them is unused."""
    shift = _pgdir_shift()
    guard, ldt = WORD - (256 << shift), WORD - (240 << shift)
    found = [
        Region(guard, guard + (16 << shift), "guard hole", "kept for a hypervisor"),
        Region(ldt, ldt + (1 << shift), "LDT remap", "LDTs, with page-table isolation"),
        *_movable_regions(),
        *_entry_regions(),
        Region(EFI_VA_END, EFI_VA_START, "EFI", "the firmware's runtime services"),
        *_image_regions(),
        *_fixed_regions(),
    ]
    return sorted(found)


def _fixed_regions() -> list[Region]:
    """The fixmap up to FIXADDR_TOP, and in it vsyscall where the kernel has that.

    Then nothing lies above that page: with CONFIG_X86_VSYSCALL_EMULATION it is the
    first of enum fixed_addresses, which count downwards.
    """
    start, what = fixaddr_start(), "pages at fixed addresses"
    above = VSYSCALL + PAGE_SIZE
    if "VSYSCALL_PAGE" not in structs.enumerators("enum fixed_addresses"):
        return [Region(start, FIXADDR_TOP + PAGE_SIZE, "fixmap", what)]
    return [
        Region(start, VSYSCALL, "fixmap", what),
        Region(VSYSCALL, above, "vsyscall", "old calls of user mode"),
        Region(above, FIXADDR_TOP + PAGE_SIZE, "fixmap's rest", "up to FIXADDR_TOP"),
    ]


def _movable_regions() -> list[Region]:
    """What kernel_randomize_memory() in arch/x86/mm/kaslr.c lays out.

    Moved, two of them are only as large as the RAM needs.
    """
    bases = default_bases()
    five = _is_five()
    direct = kernel.memory().page_offset
    vmalloc = _base("vmalloc_base", bases["vmalloc"])
    vmemmap = _base("vmemmap_base", bases["vmemmap"])
    sizes = [(32 << 10 if five else 64) * TIB, (512 if five else 1) * TIB]
    if is_moved():
        ram = _round_up(max_pfn() * PAGE_SIZE, TIB)
        pages = ram // PAGE_SIZE * structs.sizeof("struct page")
        sizes = [ram, _round_up(pages, TIB)]
    room = vmalloc_size(kernel.memory().levels)
    return [
        Region(direct, direct + sizes[0], "direct map", "all RAM, in order"),
        Region(vmalloc, vmalloc + room, "vmalloc", "vmalloc(), ioremap(), stacks"),
        Region(vmemmap, vmemmap + sizes[1], "vmemmap", "all struct page"),
    ]


def _round_up(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def _entry_regions() -> list[Region]:
    """Regions that are at the same place whatever the number of levels."""
    area = WORD - (4 << P4D_SHIFT)
    found = [
        Region(
            area,
            area + (1 << P4D_SHIFT),
            "cpu entry area",
            "each CPU's GDT, TSS and entry stacks; the IDT",
        )
    ]
    if structs.has_symbol("init_espfix_ap"):
        start = WORD - (2 << P4D_SHIFT)
        found.append(
            Region(
                start,
                start + (1 << P4D_SHIFT),
                "espfix",
                "stacks for IRET to 16-bit code",
            )
        )
    if structs.has_symbol("kasan_init"):
        five = _is_five()
        start = 0xFFDF_0000_0000_0000 if five else 0xFFFF_EC00_0000_0000
        end = 0xFFFF_FC00_0000_0000
        found.append(Region(start, end, "KASAN shadow", "one byte for eight"))
    return found


def _image_regions() -> list[Region]:
    modules = modules_vaddr()
    return [
        Region(START_KERNEL_MAP, modules, "kernel image", "text, rodata, data, bss"),
        Region(modules, MODULES_END, "modules", "code and data of modules"),
    ]


# What the linker script names: arch/x86/kernel/vmlinux.lds.S
SECTIONS = (
    ("text", "_text", "_etext"),
    ("rodata", "__start_rodata", "__end_rodata"),
    ("data", "_sdata", "_edata"),
    ("init", "__init_begin", "__init_end"),
    ("bss", "__bss_start", "__bss_stop"),
    ("brk", "__brk_base", "__brk_limit"),
)


def sections() -> list[Section]:
    """The parts of the kernel image, low to high. init is freed after boot."""
    base = kernel.memory().phys_base
    found = []
    for name, first, last in SECTIONS:
        if structs.has_symbol(first) and structs.has_symbol(last):
            start, end = structs.address_of(first), structs.address_of(last)
            found.append(Section(start, end, name, start - START_KERNEL_MAP + base))
    return sorted(found)


def image() -> tuple[int, int]:
    """Where the kernel image starts and ends: _text and _end."""
    return structs.address_of("_text"), structs.address_of("_end")


def named(name: str) -> Region:
    """The region with a name that there is in every kernel, such as "vmalloc"."""
    return next(region for region in regions() if region.name == name)


def region_of(address: int) -> Region | None:
    """The region an address lies in, None for an unused one."""
    for region in regions():
        if region.start <= address < region.end:
            return region
    return None
