# SPDX-License-Identifier: GPL-2.0-only
"""The lines of /proc/meminfo and the counters they come from: fs/proc/meminfo.c."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE
from . import lists, mmzone, percpu
from .page import HUGE_PAGES
from .regions import named
from .structs.fs import AddressSpace, Inode
from .structs.lib import PercpuCounter
from .structs.mm_types import Hstate

KIB = 1024
PAGE_KIB = PAGE_SIZE // KIB
# How much a page of each level of the direct map is, in KiB: direct_pages_count[]
LEVELS = {"PG_LEVEL_4K": 4, "PG_LEVEL_2M": 2 << 10, "PG_LEVEL_1G": 1 << 20}


@dataclass(frozen=True)
class Term:
    """A counter that a line is made of."""

    counter: str
    value: int
    kib: int = PAGE_KIB  # for each that it counts
    sign: int = 1


@dataclass(frozen=True)
class Line:
    """A line of /proc/meminfo."""

    name: str
    value: int
    unit: str  # "kB", or "" for a number of huge pages
    terms: tuple[Term, ...]
    note: str = ""  # what is done to the sum of the terms, if anything


class _Counters:
    """The kernel's sums over all zones and nodes, and single variables."""

    def __init__(self) -> None:
        guest = kernel.memory()

        def array(symbol: str) -> tuple[int, ...]:
            size = structs.variable_size(symbol)
            return mmzone.longs(guest.read(structs.address_of(symbol), size))

        self._zone, self._node = array("vm_zone_stat"), array("vm_node_stat")

    def has(self, name: str) -> bool:
        """Does this kernel have such a counter?"""
        return any(name in structs.enumerators(kind) for kind in ENUMS)

    def term(self, name: str, kib: int = PAGE_KIB, sign: int = 1) -> Term:
        """global_zone_page_state() or global_node_page_state()."""
        number = structs.enumerators(ENUMS[0]).get(name)
        if number is not None:
            return Term(name, max(self._zone[number], 0), kib, sign)
        number = structs.enumerators(ENUMS[1])[name]
        return Term(name, max(self._node[number], 0), kib, sign)


ENUMS = ("enum zone_stat_item", "enum node_stat_item")


def variable(symbol: str, kib: int = PAGE_KIB, sign: int = 1) -> Term:
    """A variable of type long or atomic_long_t; 0 in a kernel that lacks it."""
    if not structs.has_symbol(symbol):
        return Term(symbol, 0, kib, sign)
    place, size = structs.address_of(symbol), structs.variable_size(symbol)
    data = kernel.memory().read(place, size)
    return Term(symbol, int.from_bytes(data, "little", signed=True), kib, sign)


def lines() -> Iterator[Line]:
    """All lines that this kernel prints, in order. Raises memory.Fault."""
    counters = _Counters()
    term, one = counters.term, variable

    def plain(name: str, *terms: Term, note: str = "") -> Line:
        return Line(name, _kib(terms), "kB", terms, note)

    lru = {
        name: term(f"NR_{name}")
        for name in (
            *("ACTIVE_ANON", "INACTIVE_ANON", "ACTIVE_FILE", "INACTIVE_FILE"),
            "UNEVICTABLE",
        )
    }
    slab = term("NR_SLAB_RECLAIMABLE_B"), term("NR_SLAB_UNRECLAIMABLE_B")
    misc = term("NR_KERNEL_MISC_RECLAIMABLE")
    swapcache = term("NR_SWAPCACHE") if counters.has("NR_SWAPCACHE") else _swapcache()
    yield plain("MemTotal", one("_totalram_pages"))
    yield plain("MemFree", term("NR_FREE_PAGES"))
    yield _available(counters, lru, slab[0], misc)
    buffers = _buffers()
    yield plain("Buffers", buffers)
    yield plain("Cached", term("NR_FILE_PAGES"), _minus(swapcache), _minus(buffers))
    yield plain("SwapCached", swapcache)
    yield plain("Active", lru["ACTIVE_ANON"], lru["ACTIVE_FILE"])
    yield plain("Inactive", lru["INACTIVE_ANON"], lru["INACTIVE_FILE"])
    yield plain("Active(anon)", lru["ACTIVE_ANON"])
    yield plain("Inactive(anon)", lru["INACTIVE_ANON"])
    yield plain("Active(file)", lru["ACTIVE_FILE"])
    yield plain("Inactive(file)", lru["INACTIVE_FILE"])
    yield plain("Unevictable", lru["UNEVICTABLE"])
    yield plain("Mlocked", term("NR_MLOCK"))
    yield plain("SwapTotal", one("total_swap_pages"))
    yield plain("SwapFree", one("nr_swap_pages"))
    yield plain("Dirty", term("NR_FILE_DIRTY"))
    yield plain("Writeback", term("NR_WRITEBACK"))
    yield plain("AnonPages", term("NR_ANON_MAPPED"))
    yield plain("Mapped", term("NR_FILE_MAPPED"))
    yield plain("Shmem", term("NR_SHMEM"))
    yield plain("KReclaimable", slab[0], misc)
    yield plain("Slab", *slab)
    yield plain("SReclaimable", slab[0])
    yield plain("SUnreclaim", slab[1])
    yield plain("KernelStack", term("NR_KERNEL_STACK_KB", kib=1))
    yield plain("PageTables", term("NR_PAGETABLE"))
    if counters.has("NR_SECONDARY_PAGETABLE"):  # since v6.1 (ebc97a52b5d6)
        yield plain("SecPageTables", term("NR_SECONDARY_PAGETABLE"))
    yield plain("NFS_Unstable", note="always 0 since v5.8 (8d92890bd6b8)")
    yield plain("Bounce", term("NR_BOUNCE"))
    yield plain("WritebackTmp", term("NR_WRITEBACK_TEMP"))
    yield _commit_limit()
    yield plain("Committed_AS", _committed())
    yield _vmalloc_total()
    yield plain("VmallocUsed", one("nr_vmalloc_pages"))
    yield plain("VmallocChunk", note="always 0 since v4.4 (a5ad88ce8c7f)")
    yield _percpu()
    yield from _huge(counters)
    yield from _hugetlb()
    yield from _direct_map()


def _kib(terms: tuple[Term, ...]) -> int:
    return max(sum(term.sign * term.value * term.kib for term in terms), 0)


def _minus(term: Term) -> Term:
    return Term(term.counter, term.value, term.kib, -term.sign)


def _available(
    counters: _Counters, lru: dict[str, Term], slab: Term, misc: Term
) -> Line:
    """si_mem_available() in mm/page_alloc.c."""
    low = sum(
        mmzone.watermarks(zone)["low"]
        for node in mmzone.for_each_online_pgdat()
        for zone in mmzone.zones(node)
    )
    free, reserve = counters.term("NR_FREE_PAGES"), variable(
        "totalreserve_pages", sign=-1
    )
    cache = lru["ACTIVE_FILE"].value + lru["INACTIVE_FILE"].value
    reclaimable = slab.value + misc.value
    kept = min(cache // 2, low) + min(reclaimable // 2, low)
    terms = (
        *(free, reserve, lru["ACTIVE_FILE"], lru["INACTIVE_FILE"], slab, misc),
        Term("kept", kept, sign=-1),
    )
    note = "kept: half of the page cache and half of the rest, each at most the low watermarks"
    return Line("MemAvailable", _kib(terms), "kB", terms, note)


def _buffers() -> Term:
    """nr_blockdev_pages(): the page cache of block devices; 0 without CONFIG_BLOCK."""
    pages = 0
    if structs.has_symbol("blockdev_superblock"):
        guest = kernel.memory()
        block = guest.u64(structs.address_of("blockdev_superblock"))
        head = block + structs.offsetof("struct super_block", "s_inodes")
        for found in lists.list_for_each_entry(Ptr(head), Inode, "i_sb_list"):
            mapping = Inode(guest, found).i_mapping
            pages += AddressSpace(guest, mapping).nrpages
    return Term("nr_blockdev_pages()", pages)


def _swapcache() -> Term:
    """total_swapcache_pages(): until v5.12 (b6038942480e) the sum over all swap files."""
    pages = 0
    if structs.has_symbol("swapper_spaces"):
        guest, size = kernel.memory(), structs.sizeof("struct address_space")
        numbers = structs.address_of("nr_swapper_spaces")
        array = structs.address_of("swapper_spaces")
        for kind in range(structs.variable_size("swapper_spaces") // 8):
            spaces = guest.u64(array + 8 * kind)
            count = int.from_bytes(guest.read(numbers + 4 * kind, 4), "little")
            for number in range(count if spaces else 0):
                space = Ptr[AddressSpace](spaces + number * size)
                pages += AddressSpace(guest, space).nrpages
    return Term("total_swapcache_pages()", pages)


def _committed() -> Term:
    """vm_memory_committed(): percpu_counter_sum_positive(&vm_committed_as)."""
    place = Ptr[PercpuCounter](structs.address_of("vm_committed_as"))
    return Term("vm_committed_as", max(percpu.percpu_counter_sum(place), 0))


def _hstates() -> list[Hstate]:
    """for_each_hstate(), mm/hugetlb.c."""
    if not structs.has_symbol("hugetlb_max_hstate"):
        return []
    guest = kernel.memory()
    count = kernel.read_int("hugetlb_max_hstate")
    first, size = structs.address_of("hstates"), structs.sizeof("struct hstate")
    most = structs.variable_size("hstates") // size
    return [
        Hstate(guest, Ptr[Hstate](first + number * size))
        for number in range(min(max(count, 0), most))
    ]


def _commit_limit() -> Line:
    """vm_commit_limit() in mm/util.c."""
    absolute = variable("sysctl_overcommit_kbytes", kib=1)
    swap = variable("total_swap_pages")
    if absolute.value:
        pages = Term(absolute.counter, absolute.value // PAGE_KIB)
        return Line("CommitLimit", _kib((pages, swap)), "kB", (pages, swap))
    total = variable("_totalram_pages")
    huge = sum(state.nr_huge_pages << state.order for state in _hstates())
    ratio = kernel.read_int("sysctl_overcommit_ratio")
    allowed = (total.value - huge) * ratio // 100
    terms = (total, Term("pages of the pools of huge pages", huge, sign=-1), swap)
    note = f"of RAM {ratio} %: sysctl_overcommit_ratio"
    return Line("CommitLimit", (allowed + swap.value) * PAGE_KIB, "kB", terms, note)


def _vmalloc_total() -> Line:
    """VMALLOC_END - VMALLOC_START; the end is the last byte of the region."""
    region = named("vmalloc")
    term = Term("VMALLOC_END - VMALLOC_START", region.size - 1 >> 10, kib=1)
    return Line("VmallocTotal", term.value, "kB", (term,))


def _percpu() -> Line:
    """pcpu_nr_pages() in mm/percpu.c."""
    populated, units = kernel.read_int("pcpu_nr_populated"), kernel.read_int(
        "pcpu_nr_units"
    )
    terms = (Term("pcpu_nr_populated", populated * units),)
    return Line("Percpu", _kib(terms), "kB", terms, f"times {units} pcpu_nr_units")


def _huge(counters: _Counters) -> Iterator[Line]:
    """Counted in huge pages until v5.12: see mmzone.node_counters()."""
    if not counters.has("NR_ANON_THPS") or not structs.has_symbol("huge_zero_page"):
        return  # huge_zero_page is there with CONFIG_TRANSPARENT_HUGEPAGE only
    kib = PAGE_KIB if mmzone.counts_pages_of_huge() else PAGE_KIB * HUGE_PAGES
    for name, counter in (
        ("AnonHugePages", "NR_ANON_THPS"),
        ("ShmemHugePages", "NR_SHMEM_THPS"),
        ("ShmemPmdMapped", "NR_SHMEM_PMDMAPPED"),
        ("FileHugePages", "NR_FILE_THPS"),
        ("FilePmdMapped", "NR_FILE_PMDMAPPED"),
    ):
        term = counters.term(counter, kib)
        yield Line(name, _kib((term,)), "kB", (term,))


def _hugetlb() -> Iterator[Line]:
    """hugetlb_report_meminfo() in mm/hugetlb.c."""
    states = _hstates()
    if not states:
        return
    default = states[kernel.read_int("default_hstate_idx")]
    for name, value in (
        ("HugePages_Total", default.nr_huge_pages),
        ("HugePages_Free", default.free_huge_pages),
        ("HugePages_Rsvd", default.resv_huge_pages),
        ("HugePages_Surp", default.surplus_huge_pages),
    ):
        yield Line(name, value, "", (Term("default_hstate", value, kib=0),))
    order = Term("default_hstate.order", default.order, kib=0)
    yield Line("Hugepagesize", PAGE_KIB << default.order, "kB", (order,))
    terms = tuple(
        Term("nr_huge_pages", state.nr_huge_pages, PAGE_KIB << state.order)
        for state in states
    )
    yield Line("Hugetlb", _kib(terms), "kB", terms)


def _direct_map() -> Iterator[Line]:
    """arch_report_meminfo() in arch/x86/mm/pat/set_memory.c."""
    if not structs.has_symbol("direct_pages_count"):
        return
    place = structs.address_of("direct_pages_count")
    size = structs.variable_size("direct_pages_count")
    counts = mmzone.words(kernel.memory().read(place, size))
    numbers = structs.enumerators("enum pg_level")
    for level, kib in LEVELS.items():
        if level == "PG_LEVEL_1G" and not kernel.read_int("direct_gbpages"):
            continue
        term = Term(f"direct_pages_count[{level}]", counts[numbers[level]], kib)
        name = f"DirectMap{level.removeprefix('PG_LEVEL_').replace('K', 'k')}"
        yield Line(name, _kib((term,)), "kB", (term,))
