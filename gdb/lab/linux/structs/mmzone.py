# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/mmzone.h."""

from __future__ import annotations

from typing import Optional

from ...target.cstruct import U64, Ptr, Struct


class Zone(Struct, name="struct zone"):
    """A range of page frames that the allocator treats alike."""

    pageset: Optional[Ptr[object]]  # until v5.14 (28f836b6777b)
    per_cpu_pageset: Optional[Ptr[object]]  # since v5.14 (28f836b6777b)
    present_pages: U64
