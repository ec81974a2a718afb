# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO: what a dump tells its reader about the kernel in it.

Lines such as "SYMBOL(_stext)=ffffffff81000000". A kernel built for kdump keeps them ready;
the lab's kernels are not, so they are made here as kernel/crash_core.c and
arch/x86/kernel/crash_core_64.c would make them.
"""

from __future__ import annotations

from typing import Iterator

from ..linux import regions
from ..printable import text_of
from ..target import elffile, hostfiles, kernel, structs, vmlinux
from ..target.memory import PAGE_SIZE

DATA = ("vmcoreinfo_data", "vmcoreinfo_size")

SYMBOLS = ("init_uts_ns", "node_online_map", "_stext", "vmap_area_list", "init_top_pgt")
ARRAYS = {
    "swapper_pg_dir": "init_top_pgt"
}  # a macro that stands for it, asm/pgtable_64.h
SIZES = ("mem_section", "page", "pglist_data", "zone", "free_area", "list_head")
OFFSETS = {
    "uts_namespace": ("name",),
    "mem_section": ("section_mem_map",),
    "page": ("flags", "_refcount", "mapping", "lru", "_mapcount", "private")
    + ("compound_dtor", "compound_order", "compound_head"),
    "pglist_data": ("node_zones", "nr_zones", "node_start_pfn", "node_spanned_pages")
    + ("node_id",),
    "zone": ("free_area", "vm_stat", "spanned_pages"),
    "free_area": ("free_list",),
    "list_head": ("next", "prev"),
    "vmap_area": ("va_start", "list"),
}
LENGTHS = {"zone.free_area": ("struct zone", "free_area")}
LENGTHS["free_area.free_list"] = ("struct free_area", "free_list")
ENUMERATORS = {
    "enum zone_stat_item": ("NR_FREE_PAGES",),
    "enum pageflags": ("PG_lru", "PG_private", "PG_swapcache", "PG_swapbacked")
    + ("PG_slab", "PG_hwpoison"),
}

SECTION_SIZE_BITS = 27  # arch/x86/include/asm/sparsemem.h


def vmcoreinfo() -> bytes:
    """The kernel's own lines, else those it would make. Raises memory.Fault."""
    if all(map(structs.has_symbol, DATA)):
        guest = kernel.memory()
        data, size = (guest.u64(structs.address_of(name)) for name in DATA)
        if data:
            return guest.read(data, min(size, PAGE_SIZE))  # VMCOREINFO_BYTES
    return "".join(f"{line}\n" for line in _lines()).encode()


def is_kernels_own() -> bool:
    """Does this kernel keep the lines itself: CONFIG_CRASH_CORE?"""
    return all(map(structs.has_symbol, DATA))


def _lines() -> Iterator[str]:
    guest = kernel.memory()
    yield f"OSRELEASE={_release()}"
    if build_id():
        yield f"BUILD-ID={build_id()}"
    yield f"PAGESIZE={PAGE_SIZE}"
    for name in filter(structs.has_symbol, SYMBOLS):
        yield f"SYMBOL({name})={structs.address_of(name):x}"
    for name, symbol in ARRAYS.items():
        yield f"SYMBOL({name})={structs.address_of(symbol):x}"
    yield from _layout()
    yield from _sections()
    yield f"NUMBER(phys_base)={guest.phys_base}"
    yield f"NUMBER(pgtable_l5_enabled)={int(guest.levels == 5)}"
    yield "KERNELOFFSET=0"  # check_running() refuses a kernel that KASLR has moved
    yield f"NUMBER(KERNEL_IMAGE_SIZE)={regions.kernel_image_size()}"


def _layout() -> Iterator[str]:
    """Sizes and offsets of the types and members that this kernel has."""
    for name in SIZES:
        if structs.has_type(f"struct {name}"):
            yield f"SIZE({name})={structs.sizeof(f'struct {name}')}"
    for name, members in OFFSETS.items():
        for member in members:
            if structs.has_member(f"struct {name}", member):
                offset = structs.offsetof(f"struct {name}", member)
                yield f"OFFSET({name}.{member})={offset}"
    for name, (struct, member) in LENGTHS.items():
        yield f"LENGTH({name})={structs.member(struct, member)[1].count}"
    for enum, names in ENUMERATORS.items():
        values = structs.enumerators(enum)
        for name in filter(values.__contains__, names):
            yield f"NUMBER({name})={values[name]}"


def _sections() -> Iterator[str]:
    """Where struct page is found: mem_section of SPARSEMEM_EXTREME, mm/sparse.c."""
    if not structs.has_symbol("mem_section"):
        return
    guest = kernel.memory()
    physical = regions.MAX_PHYSMEM_BITS[guest.levels]
    per_root = PAGE_SIZE // structs.sizeof("struct mem_section")
    roots = -(-(1 << physical - SECTION_SIZE_BITS) // per_root)
    yield f"SYMBOL(mem_section)={guest.u64(structs.address_of('mem_section')):x}"
    yield f"LENGTH(mem_section)={roots}"
    yield f"NUMBER(SECTION_SIZE_BITS)={SECTION_SIZE_BITS}"
    yield f"NUMBER(MAX_PHYSMEM_BITS)={physical}"


def _release() -> str:
    place = structs.address_of("init_uts_ns")
    place += structs.offsetof("struct uts_namespace", "name.release")
    return text_of(kernel.memory().read_string(place))


@structs.cached
def build_id() -> str:
    """The build ID in vmlinux, "" if it was linked without one."""
    try:
        with hostfiles.opened(vmlinux.path()) as file:
            found = elffile.parse(file).build_id()
    except (hostfiles.Unfit, elffile.BadElf):
        return ""
    return found.data.hex() if found else ""
