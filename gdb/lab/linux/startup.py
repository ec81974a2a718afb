# SPDX-License-Identifier: GPL-2.0-only
"""How far the kernel has started: start_kernel() in init/main.c.

Whoever stops it early finds zeros where later there is a zone or a cache, and no view can
tell them from an empty one.
"""

from __future__ import annotations

from ..target import kernel, structs
from ..target.debugger import Refused
from . import processors, regions

structs.expect("_totalram_pages", "slab_state", "vmap_initialized")


def has_page_allocator() -> bool:
    """Has memblock_free_all() handed the free page frames over? Raises memory.Fault."""
    name = "_totalram_pages"
    return not structs.has_symbol(name) or bool(
        kernel.memory().u64(structs.address_of(name))
    )


def need_page_allocator() -> None:
    """Refuse where there are no zones yet, or nothing is in them."""
    _need(has_page_allocator(), "The page allocator")


def need_slab() -> None:
    """Refuse where kmem_cache_init() has not returned yet: slab_is_available()."""
    if structs.has_symbol("slab_state"):
        state = kernel.read_int("slab_state")
        up = structs.enumerators("enum slab_state")["UP"]
        _need(state >= up, "The slab allocator")


def need_cpu_data() -> None:
    """Refuse where the first CPU was not asked what it can: early_cpu_init()."""
    _need(regions.physical_bits() > 0, "What the kernel knows of the processor")


def need_vmalloc() -> None:
    """Refuse where vmalloc_init() has not returned yet."""
    if structs.has_symbol("vmap_initialized"):
        place = structs.address_of("vmap_initialized")
        _need(bool(kernel.memory().read(place, 1)[0]), "The vmalloc region")


def need_processors() -> None:
    """Refuse where not even the first CPU is online: boot_cpu_init()."""
    _need(bool(processors.online_cpus()), "The list of CPUs")


def _need(is_there: bool, what: str) -> None:
    if not is_there:
        raise Refused(
            f"{what} is not set up yet: the kernel is still starting. Go on until it is: "
            "`thbreak rest_init`, `continue`."
        )
