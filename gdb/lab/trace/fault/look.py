# SPDX-License-Identifier: GPL-2.0-only
"""One page fault: what was tried, and how the place looked before and after.

The processor says what was tried in an error code and in CR2; see
asm/trap_pf.h and exc_page_fault() in arch/x86/mm/fault.c.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from ...linux import filemap, mm as mm_, page, pgtable, signals, vma as lookup
from ...linux.regions import PMD_SIZE
from ...linux.registers import user_mode
from ...linux.structs.fs import File
from ...linux.structs.mm_types import MmStruct, Page, VmAreaStruct
from ...linux.structs.sched import KSigaction, SignalStruct, TaskStruct
from ...linux.structs.x86 import PtRegs
from ...linux.vmflags import VM_GROWSDOWN, VM_HUGETLB, VM_MAYSHARE
from ...target import kernel, structs
from ...target.cstruct import NULL, Ptr
from ...target.memory import PAGE_PRESENT, PAGE_SIZE, Broken, Fault
from .events import LookData

PF_PROT, PF_WRITE, PF_INSTR = 1, 2, 16  # X86_PF_...
FAULT_AROUND = 65536  # bytes, what it starts with: mm/memory.c
ENTRY = 8  # bytes of a page-table entry
structs.expect("fault_around_bytes", "fault_around_pages")
structs.expect("empty_zero_page", "huge_zero_page")

Use = Literal["none", "zero", "anonymous", "file", "kernel"]
Verb = Literal["read", "write", "execute"]


@dataclass(frozen=True)
class Access:
    """What was tried, and where."""

    address: int
    error_code: int
    place: Ptr[PtRegs]
    regs: PtRegs

    @property
    def verb(self) -> Verb:
        if self.error_code & PF_INSTR:
            return "execute"
        return "write" if self.error_code & PF_WRITE else "read"

    @property
    def is_refused(self) -> bool:
        """True if the page is present but forbids this access."""
        return bool(self.error_code & PF_PROT)

    @property
    def from_user(self) -> bool:
        """Was it an instruction of the program, and not of the kernel?"""
        return user_mode(self.regs)

    @property
    def page(self) -> int:
        """The address of the page."""
        return self.address & -PAGE_SIZE


@dataclass(frozen=True)
class Look:
    """What an address is at one moment: area, page-table entry, page frame."""

    address: int
    vma: Ptr[VmAreaStruct]  # 0 where the address is in no area
    area: VmAreaStruct | None  # that area, or the stack that could grow down to it
    is_changing: bool  # could no area be found because another CPU changes them?
    entry: pgtable.Entry | None  # the last one of the walk; None for a broken table
    use: Use  # of the page frame
    holders: int  # entries that map the page of the address: __page_mapcount()
    references: int  # all that keep it, these among them; of a huge page all of it
    is_part: bool  # of a huge page, which may be mapped page by page
    is_cached: bool  # is the page of the file in the page cache?
    around: dict[int, int]  # entries of the pages that may be mapped along, if not 0
    min_flt: int
    maj_flt: int

    @property
    def is_present(self) -> bool:
        return self.entry is not None and self.entry.is_leaf and self.entry.is_present

    @property
    def pfn(self) -> int | None:
        """The frame of the first page that the entry maps."""
        if self.entry is None or not self.is_present:
            return None
        return self.entry.target // PAGE_SIZE

    def allows(self, verb: Verb) -> bool:
        """Would the processor let this access pass?"""
        if self.entry is None or not self.is_present:
            return False
        if verb == "write":
            return bool(self.entry.value & pgtable.PAGE_RW)
        return verb == "read" or not self.entry.value & pgtable.PAGE_NX


def look(mm: Ptr[MmStruct], task: Ptr[TaskStruct], address: int) -> Look:
    """Look at an address of a process now. Raises memory.Fault."""
    counters = TaskStruct(kernel.memory(), task)
    vma, area, is_changing = _area(mm, task, address)
    walk = pgtable.walk(mm_.pgd_of(mm), address)
    entry = None if walk.broken else walk.last
    frame = Frame("none")
    if entry is not None and entry.is_leaf and entry.is_present:
        frame = _frame((entry.target + address % entry.size) // PAGE_SIZE)
    mapped = None
    if area is not None and vma and area.vm_file and area.vm_ops:
        mapped = area
    return Look(
        address=address,
        vma=vma,
        area=area,
        is_changing=is_changing,
        entry=entry,
        use=frame.use,
        holders=frame.holders,
        references=frame.references,
        is_part=frame.is_part,
        is_cached=mapped is not None and _is_cached(mapped, address),
        around={} if mapped is None else _around(mapped, entry, address),
        min_flt=counters.min_flt,
        maj_flt=counters.maj_flt,
    )


def _area(
    mm: Ptr[MmStruct], task: Ptr[TaskStruct], address: int
) -> tuple[Ptr[VmAreaStruct], VmAreaStruct | None, bool]:
    """The members vma, area and is_changing of a Look."""
    if address >= pgtable.USER_HALF:
        return NULL, None, False
    try:
        found = lookup.find_vma(mm, address)
    except (Broken, Fault):
        return NULL, None, True
    if found is None:
        return NULL, None, False
    if address >= found.vm_start:
        return found.address, found, False
    return NULL, found if _may_grow(task, found, address) else None, False


def _may_grow(task: Ptr[TaskStruct], area: VmAreaStruct, address: int) -> bool:
    """Is it a stack that may be as long as down to this address?

    acct_stack_growth() in mm/mmap.c asks for more, but this is what keeps all that
    is below a stack from being told as its own.
    """
    if not area.vm_flags & VM_GROWSDOWN:
        return False
    guest = kernel.memory()
    limit = SignalStruct(guest, TaskStruct(guest, task).signal).stack_limit
    return area.vm_end - (address & -PAGE_SIZE) <= limit


@dataclass(frozen=True)
class Frame:
    """What a page frame is: see the members of these names of a Look."""

    use: Use
    holders: int = 0
    references: int = 0
    is_part: bool = False


def _frame(pfn: int) -> Frame:
    if page.is_zero_page(pfn):
        return Frame("zero")
    guest = kernel.memory()
    try:
        own = page.pfn_to_page(pfn)
        head = Page(guest, page.compound_head(own))
        holders = page.page_mapcount(own)
    except Fault:
        return Frame("kernel")  # no struct page: a device
    use: Use = "file" if head.mapping else "kernel"
    if head.mapping & page.PAGE_MAPPING_ANON:
        use = "anonymous"
    return Frame(
        use=use,
        holders=holders,
        references=head.refcount,
        is_part="head" in page.flag_names(head.flags),
    )


def _is_cached(area: VmAreaStruct, address: int) -> bool:
    if area.vm_flags & VM_HUGETLB:
        return False  # it counts in huge pages
    mapping = File(kernel.memory(), area.vm_file).f_mapping
    try:
        filemap.find_get_page(mapping, file_page(area, address))
    except Fault:
        return False
    return True


def file_page(area: VmAreaStruct, address: int) -> int:
    """Which page of its file an address shows, from 0."""
    return area.vm_pgoff + (address - area.vm_start) // PAGE_SIZE


def _around(
    area: VmAreaStruct, entry: pgtable.Entry | None, address: int
) -> dict[int, int]:
    """The entries of do_fault_around()'s window, by address: mm/memory.c."""
    if entry is None or entry.level != 1:
        return {}
    size = fault_around_bytes()
    first = max(address & -size, area.vm_start)
    table_end = (address & -PMD_SIZE) + PMD_SIZE
    last = min(first + size, area.vm_end, table_end)
    place = entry.address + ((first >> 12) - (address >> 12)) * ENTRY
    count = (last - first) // PAGE_SIZE
    buffer, at = kernel.memory().physical.locate(place, count * ENTRY)
    values = struct.unpack_from(f"<{count}Q", buffer, at)
    pages = range(first, last, PAGE_SIZE)
    return {address: value for address, value in zip(pages, values) if value}


def fault_around_bytes() -> int:
    """How much is mapped along with a page of a file, if it is in the page cache."""
    units = {"fault_around_pages": PAGE_SIZE, "fault_around_bytes": 1}
    for symbol, unit in units.items():  # pages since v6.4 (53d36a56d8c4)
        if structs.has_symbol(symbol):
            return kernel.memory().u64(structs.address_of(symbol)) * unit
    return FAULT_AROUND  # without debugfs nothing changes it


def mapped_around(before: Look, after: Look, page_address: int) -> list[int]:
    """The pages around this one that were mapped meanwhile."""
    return [
        address
        for address, value in after.around.items()
        if address != page_address
        and value & PAGE_PRESENT
        and not before.around.get(address, 0) & PAGE_PRESENT
    ]


def is_shared(area: VmAreaStruct) -> bool:
    """Was the area mapped with MAP_SHARED?"""
    return bool(area.vm_flags & VM_MAYSHARE)


def handler_of(task: Ptr[TaskStruct], number: int) -> int:
    """The function a program has for a signal that is forced on it, 0 for none.

    There is none for a blocked or ignored signal: force_sig_info_to_task() in
    kernel/signal.c. Raises memory.Fault.

    :param number: the signal's
    """
    guest = kernel.memory()
    read = TaskStruct(guest, task)
    action = read.sighand + structs.offsetof("struct sighand_struct", "action")
    action += (number - 1) * structs.sizeof("struct k_sigaction")
    handler = KSigaction(guest, Ptr[KSigaction](action)).sa_handler
    is_blocked = int.from_bytes(read.blocked, "little") >> (number - 1) & 1
    return 0 if is_blocked or handler in (signals.SIG_DFL, signals.SIG_IGN) else handler


def look_data(seen: Look) -> LookData:
    """For a program."""
    return LookData(
        level=seen.entry.name if seen.entry else None,
        entry=seen.entry.value if seen.entry else None,
        pfn=seen.pfn,
        use=seen.use,
        holders=seen.holders,
        references=seen.references,
        page_cache=seen.is_cached,
        min_flt=seen.min_flt,
        maj_flt=seen.maj_flt,
    )
