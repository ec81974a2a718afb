# SPDX-License-Identifier: GPL-2.0-only
"""From a page back to who maps it: mm/rmap.c, include/linux/rmap.h."""

from __future__ import annotations

from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE, Broken, Fault
from . import mm as mm_, page, pgtable
from .page import PAGE_MAPPING_ANON
from .structs.lib import RbNode
from .structs.mm_types import MmStruct, Page, VmAreaStruct
from .structs.rmap import AnonVma, AnonVmaChain

MOST_CHAINS = 1 << 20  # ends a tree without an end


def rmap_walk_anon(pfn: int) -> Iterator[tuple[Ptr[MmStruct], int]]:
    """Who has a page of anonymous memory mapped, and at which address.

    :param pfn: of PageAnon(), but not of KSM, which has a tree of its own
    :raises Broken, Fault: the tree is damaged, or an area cannot be read
    """
    own = page.pfn_to_page(pfn)
    head = page.compound_head(own)
    read = Page(kernel.memory(), head)
    index = read.index
    if page.is_huge(head):  # counted in huge pages: until v6.7 (a08c7193e4f1)
        index <<= page.compound_order(head)
    index += pfn - page.page_to_pfn(head)
    for area in _areas_of(Ptr[AnonVma](read.mapping - PAGE_MAPPING_ANON)):
        address = area.vm_start + (index - area.vm_pgoff) * PAGE_SIZE
        if area.vm_start <= address < area.vm_end:
            walk = pgtable.walk(mm_.pgd_of(area.vm_mm), address)
            if walk.physical is not None and walk.physical // PAGE_SIZE == pfn:
                yield area.vm_mm, address


def _areas_of(anon_vma: Ptr[AnonVma]) -> Iterator[VmAreaStruct]:
    """The areas that may have pages of an anon_vma: its interval tree.

    :param anon_vma: struct anon_vma *
    """
    guest = kernel.memory()
    inside = structs.offsetof("struct anon_vma_chain", "rb")
    to_do = [AnonVma(guest, anon_vma).rb_node]
    seen: set[Ptr[RbNode]] = set()
    while to_do:
        node = to_do.pop()
        if not node:
            continue
        if node in seen or len(seen) > MOST_CHAINS:
            raise Broken(f"the tree of anon_vma {anon_vma:#x} is a cycle at {node:#x}")
        seen.add(node)
        try:
            chain = AnonVmaChain(guest, Ptr[AnonVmaChain](node - inside))
            area = VmAreaStruct(guest, chain.vma)
            link = RbNode(guest, node)
        except Fault as fault:
            raise Broken(
                f"the tree of anon_vma {anon_vma:#x} is cut: {fault}"
            ) from None
        yield area
        to_do += [link.rb_right, link.rb_left]
