# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/mm_types.h, mm.h, hugetlb.h and slab.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ...target.cstruct import S32, S64, U8, U32, U64, Flags, Ptr, Raw, Struct, at

if TYPE_CHECKING:
    from .fs import File
    from .lib import RbNode


class MmStruct(Struct, name="struct mm_struct"):
    """An address space: include/linux/mm_types.h."""

    mmap: Optional[Ptr[VmAreaStruct]]  # until v6.1 (763ecb035029)
    mm_rb: Optional[Ptr[RbNode]] = at("mm_rb.rb_node")  # until v6.1 (524e00b36e8c)
    get_unmapped_area: Optional[Ptr[object]]  # until v6.10 (529ce23a764f)
    mmap_base: U64
    mmap_legacy_base: U64
    mmap_compat_base: Optional[U64]  # with CONFIG_HAVE_ARCH_COMPAT_MMAP_BASES
    task_size: U64
    highest_vm_end: Optional[U64]  # until v6.1 (763ecb035029)
    pgd: Ptr[object]
    mm_users: S32 = at("mm_users.counter")
    mm_count: S32 = at("mm_count.counter")
    pgtables_bytes: Optional[S64] = at("pgtables_bytes.counter")
    map_count: S32
    hiwater_rss: U64
    hiwater_vm: U64
    total_vm: U64
    locked_vm: U64
    pinned_vm: S64 = at("pinned_vm.counter")
    data_vm: U64
    exec_vm: U64
    stack_vm: U64
    def_flags: U64
    start_code: U64
    end_code: U64
    start_data: U64
    end_data: U64
    start_brk: U64
    brk: U64
    start_stack: U64
    arg_start: U64
    arg_end: U64
    env_start: U64
    env_end: U64
    saved_auxv: Raw
    rss_stat: Raw
    binfmt: Ptr[object]
    flags: Flags
    exe_file: Ptr[File]
    hugetlb_usage: Optional[S64] = at("hugetlb_usage.counter")


class VmAreaStruct(Struct, name="struct vm_area_struct"):
    """One area of an address space: include/linux/mm_types.h."""

    vm_start: U64
    vm_end: U64
    vm_next: Optional[Ptr[VmAreaStruct]]  # until v6.1 (763ecb035029)
    vm_prev: Optional[Ptr[VmAreaStruct]]  # until v6.1 (763ecb035029)
    vm_mm: Ptr[MmStruct]
    vm_flags: U64
    anon_name: Optional[Ptr[object]]  # since v5.17 (9a10064f5625)
    anon_vma: Ptr[object]
    vm_ops: Ptr[VmOperationsStruct]
    vm_pgoff: U64
    vm_file: Ptr[File]
    vm_private_data: Ptr[object]


class VmAreaInTree(Struct, name="struct vm_area_struct"):
    """An area as the red-black tree has it, until v6.1 (524e00b36e8c)."""

    vm_start: U64
    vm_end: U64
    parent_color: U64 = at("vm_rb.__rb_parent_color")
    right: Ptr[RbNode] = at("vm_rb.rb_right")
    left: Ptr[RbNode] = at("vm_rb.rb_left")
    rb_subtree_gap: U64
    vm_flags: U64


class Page(Struct, name="struct page"):
    """A page frame, and the first one of a compound page: include/linux/mm_types.h."""

    flags: U64
    mapping: Ptr[object]
    index: U64
    private: U64
    refcount: S32 = at("_refcount.counter")
    mapcount: S32 = at("_mapcount.counter")


class TailPage(Struct, name="struct page"):
    """A later one of a compound page; the second says what holds for all of it.

    Since v6.3 (94688e8eb453) some of that is in struct folio instead, at the same place.
    """

    flags: U64
    compound_head: U64
    compound_dtor: Optional[U8]
    compound_order: Optional[U8]
    compound_mapcount: Optional[S32] = at("compound_mapcount.counter")


class PmdPage(Struct, name="struct page"):
    """A page middle directory, until v6.6 (f8546d84fd9f) as a kind of page."""

    pmd_huge_pte: Ptr[Page]  # of the first table that waits for a huge page to be split


class Folio(Struct, name="struct folio"):
    """A compound page as a whole, since v5.16 (7b230db3b8d3): include/linux/mm_types.h."""

    dtor: Optional[U8] = at("_folio_dtor")  # v6.1 to v6.5
    order: Optional[U8] = at("_folio_order")  # v6.1 to v6.6
    entire_mapcount: Optional[S32] = at("_entire_mapcount.counter")  # since v6.3


class VmOperationsStruct(Struct, name="struct vm_operations_struct"):
    """What an area can do: include/linux/mm.h."""

    name: Ptr[object]


class VmSpecialMapping(Struct, name="struct vm_special_mapping"):
    """An area of the kernel's own, such as [vdso]: include/linux/mm_types.h."""

    name: Ptr[object]


class Hstate(Struct, name="struct hstate"):
    """A size of huge pages and its pool: include/linux/hugetlb.h."""

    order: U32
    nr_huge_pages: U64
    free_huge_pages: U64
    resv_huge_pages: U64
    surplus_huge_pages: U64
