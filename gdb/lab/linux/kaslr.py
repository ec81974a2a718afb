# SPDX-License-Identifier: GPL-2.0-only
"""Where the kernel put itself at boot: arch/x86/boot/compressed/kaslr.c, arch/x86/mm/kaslr.c.

All of it can also be read in a kernel that KASLR has moved, and to which the addresses in
vmlinux do not apply: see Image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..target import structs
from ..target.memory import PAGE_SIZE, START_KERNEL_MAP, read_stub
from . import configs, regions

KASLR_FLAG = 1 << 1  # of boot_params.hdr.loadflags: asm/bootparam.h
PUD_SIZE = 1 << 30
CPU_ENTRY_AREA_BASE = regions.WORD - (4 << regions.P4D_SHIFT)  # pgtable_64_types.h
PHYSICAL_PADDING = "CONFIG_RANDOMIZE_MEMORY_PHYSICAL_PADDING"
PHYSICAL_ALIGN = "CONFIG_PHYSICAL_ALIGN"
MODULE_PLACES = 1024  # get_module_load_offset(), arch/x86/kernel/module.c
BASES = ("page_offset_base", "vmalloc_base", "vmemmap_base")
structs.expect("boot_params", "module_load_offset", "phys_base", *BASES)


class Region(NamedTuple):
    """A region that kernel_randomize_memory() moves."""

    name: str
    base: int
    fixed: int  # where it is if nothing moves it
    entropy: int | None  # bytes over which it could be moved; None: not known
    places: int | None


@dataclass(frozen=True)
class Image:
    """The kernel's image, and how it is read: a moved one as the stopped processor sees it."""

    moved: int  # bytes above its link addresses
    read: configs.Read = read_stub

    @property
    def text(self) -> int:
        """Where _text is, as in /proc/kallsyms."""
        return structs.address_of("_text") + self.moved

    @property
    def linked_physical(self) -> int:
        """LOAD_PHYSICAL_ADDR: where the image would be in RAM."""
        return structs.address_of("_text") - START_KERNEL_MAP

    @property
    def physical(self) -> int:
        """Where it is in RAM."""
        base = self.number("phys_base") if structs.has_symbol("phys_base") else 0
        return (self.text - START_KERNEL_MAP + base) % (1 << 64)

    @property
    def levels(self) -> int:
        """Levels of page tables."""
        name = "__pgtable_l5_enabled"
        return 5 if structs.has_symbol(name) and self.number(name, 4) else 4

    def number(self, symbol: str, size: int = 8) -> int:
        """An unsigned variable. Raises Missing, memory.Fault."""
        place = structs.address_of(symbol) + self.moved
        return int.from_bytes(self.read(place, size), "little")

    def options(self) -> dict[str, str] | None:
        """See configs.options()."""
        return configs.options(self.read, self.moved)

    def command_line(self) -> str:
        """See configs.command_line()."""
        return configs.command_line(self.read, self.moved)

    def kaslr_enabled(self) -> bool:
        """Did the code in front of the kernel choose a place at random?

        It does so in a bzImage only, and leaves a flag: kaslr_enabled(), asm/setup.h.
        """
        place = structs.offsetof("struct boot_params", "hdr.loadflags")
        flags = self.read(structs.address_of("boot_params") + self.moved + place, 1)[0]
        return bool(flags & KASLR_FLAG)

    def can_be_moved(self) -> bool:
        """Was the kernel built with CONFIG_RANDOMIZE_BASE?"""
        return structs.has_symbol("module_load_offset")

    def why_not_moved(self) -> str:
        """Why KASLR has not chosen a place, in a phrase."""
        if not self.can_be_moved():
            return "built without CONFIG_RANDOMIZE_BASE"
        if "nokaslr" in self.command_line().split():
            return "nokaslr on the command line"
        return "not started as a bzImage, whose first code would have moved it"

    def memory_is_randomised(self, options: dict[str, str]) -> bool:
        """kaslr_memory_enabled(), asm/setup.h."""
        return self.kaslr_enabled() and "CONFIG_KASAN" not in options

    def virtual_places(self, options: dict[str, str]) -> tuple[int, int]:
        """Over how many slots the image could be put, and their size in bytes.

        See find_random_virt_addr(): above LOAD_PHYSICAL_ADDR, up to KERNEL_IMAGE_SIZE.

        :param options: CONFIG_... by name
        """
        align = _number(options, PHYSICAL_ALIGN, 2 << 20) or 2 << 20
        size = structs.address_of("_end") - structs.address_of("_text")
        size = -(-size // align) * align
        room = regions.kernel_image_size() - self.linked_physical - size
        return 1 + max(room, 0) // align, align

    def movable_regions(self, options: dict[str, str]) -> list[Region]:
        """The direct map, vmalloc and vmemmap, and over how much each could be moved.

        kernel_randomize_memory() shares out the room that is left, region by region: the
        later ones get what the earlier have not used. If nothing is random, take it that
        they would have used half of theirs, as they do on average.
        """
        found = []
        is_on, sizes = self.memory_is_randomised(options), self._sizes(options)
        fixed = regions.bases_of(self.levels)
        vaddr = fixed["direct map"]
        remain = max(CPU_ENTRY_AREA_BASE - vaddr - sum(sizes or ()), 0)
        for number, (name, symbol) in enumerate(zip(fixed, BASES)):
            can = structs.has_symbol(symbol)
            base = self.number(symbol) if can else fixed[name]
            if sizes is None or not can:
                found.append(Region(name, base, fixed[name], None, None))
                continue
            entropy = remain // (len(BASES) - number)
            places = entropy // PUD_SIZE + 1
            found.append(Region(name, base, fixed[name], entropy, places))
            used = max(base - vaddr, 0) if is_on else entropy // 2
            remain = max(remain - used, 0)
            vaddr = -(-(base + sizes[number] + 1) // PUD_SIZE) * PUD_SIZE
        return found

    def _sizes(self, options: dict[str, str]) -> list[int] | None:
        """How large the three regions are; None if that is not known.

        With CONFIG_ZONE_DEVICE some kernels keep the direct map as large as it can be.
        """
        if "CONFIG_ZONE_DEVICE" in options:
            return None
        tib, levels = regions.TIB, self.levels
        padding = _number(options, PHYSICAL_PADDING, 0) * tib
        ram = -(-self.number("max_pfn") * PAGE_SIZE // tib) * tib + padding
        direct = min(ram, 1 << regions.MAX_PHYSMEM_BITS[levels])
        pages = direct // PAGE_SIZE * structs.sizeof("struct page")
        return [direct, regions.vmalloc_size(levels), -(-pages // tib) * tib]


def _number(options: dict[str, str], name: str, default: int) -> int:
    """An option that is a number, as it is written in C."""
    try:
        return max(int(options[name], 0), 0)
    except (KeyError, ValueError):
        return default
