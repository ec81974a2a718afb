# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/slub_def.h, later mm/slab.h and mm/slub.c."""

from __future__ import annotations

from typing import Optional

from ...target.cstruct import S32, S64, U32, U64, Ptr, Raw, Struct, at


class KmemCache(Struct, name="struct kmem_cache"):
    """A cache: objects of one size."""

    cpu_slab: Optional[Ptr[KmemCacheCpu]]  # SLUB, but not with CONFIG_SLUB_TINY
    flags: U32
    min_partial: Optional[U64]  # SLUB
    size: U32  # of an object with all that belongs to it
    object_size: U32
    offset: Optional[U32]  # SLUB: of the pointer to the next free object
    oo: Optional[U32] = at("oo.x")  # SLUB: order and objects of a slab
    refcount: S32  # how many kmem_cache_create() it serves
    ctor: Ptr[object]
    inuse: Optional[U32]  # SLUB
    align: U32
    red_left_pad: Optional[U32]
    name: Ptr[object]  # const char *
    random: Optional[U64]  # with CONFIG_SLAB_FREELIST_HARDENED
    node: Raw  # struct kmem_cache_node *[]


class KmemCacheCpu(Struct, name="struct kmem_cache_cpu"):
    """What a CPU allocates from."""

    freelist: Ptr[object]
    page: Optional[Ptr[SlabPage]]  # until v5.17 (bb192ed9aa71)
    slab: Optional[Ptr[Slab]]  # since v5.17 (bb192ed9aa71)
    partial: Optional[Ptr[object]]  # with CONFIG_SLUB_CPU_PARTIAL


class KmemCacheNode(Struct, name="struct kmem_cache_node"):
    """The slabs of a node that are partly free, and how many there are in all."""

    nr_partial: U64
    nr_slabs: Optional[S64] = at("nr_slabs.counter")  # with CONFIG_SLUB_DEBUG
    total_objects: Optional[S64] = at("total_objects.counter")  # likewise


class SlabPage(Struct, name="struct page"):
    """A slab, until v5.17 (d122019bf061) as a kind of page."""

    flags: U64
    slab_cache: Ptr[KmemCache]
    freelist: Ptr[object]
    counters: U64
    next: Ptr[object]


class Slab(Struct, name="struct slab"):
    """A slab, since v5.17 (d122019bf061): mm/slab.h. It lies where its struct page does."""

    flags: U64 = at("__page_flags")
    slab_cache: Ptr[KmemCache]
    freelist: Ptr[object]
    counters: U64
    next: Ptr[object]
