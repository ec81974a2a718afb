# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/vmalloc.h."""

from __future__ import annotations

from ...target.cstruct import U32, U64, Ptr, Struct


class VmapArea(Struct, name="struct vmap_area"):
    """A range of addresses in the vmalloc region that is in use, or was until now."""

    va_start: U64
    va_end: U64
    vm: Ptr[VmStruct]


class VmStruct(Struct, name="struct vm_struct"):
    """What such a range is used for."""

    addr: Ptr[object]
    size: U64  # with the guard page, unless VM_NO_GUARD
    flags: U64
    pages: Ptr[object]  # struct page **
    nr_pages: U32
    phys_addr: U64
    caller: Ptr[object]
