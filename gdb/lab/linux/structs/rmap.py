# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/rmap.h."""

from __future__ import annotations

from ...target.cstruct import Ptr, Struct, at
from .lib import RbNode
from .mm_types import VmAreaStruct


class AnonVma(Struct, name="struct anon_vma"):
    """Finds the areas that may have a page of anonymous memory."""

    rb_node: Ptr[RbNode] = at("rb_root.rb_root.rb_node")


class AnonVmaChain(Struct, name="struct anon_vma_chain"):
    """One of these areas: a link in the tree of an anon_vma."""

    vma: Ptr[VmAreaStruct]
