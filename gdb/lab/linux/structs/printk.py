# SPDX-License-Identifier: GPL-2.0-only
"""kernel/printk/printk_ringbuffer.h: the log, since v5.10 (896fbe20b4e2)."""

from __future__ import annotations

from ...target.cstruct import S64, U8, U16, U32, U64, Ptr, Struct, at


class PrintkRingbuffer(Struct, name="struct printk_ringbuffer"):
    """The log: descriptors, what they say of a message, and the texts."""

    count_bits: U32 = at("desc_ring.count_bits")
    descs: Ptr[PrbDesc] = at("desc_ring.descs")
    infos: Ptr[PrintkInfo] = at("desc_ring.infos")
    head_id: S64 = at("desc_ring.head_id.counter")
    tail_id: S64 = at("desc_ring.tail_id.counter")
    size_bits: U32 = at("text_data_ring.size_bits")
    data: Ptr[object] = at("text_data_ring.data")


class PrbDesc(Struct, name="struct prb_desc"):
    """A descriptor: whether a message is complete, and where its text is."""

    state_var: S64 = at("state_var.counter")
    begin: U64 = at("text_blk_lpos.begin")
    next: U64 = at("text_blk_lpos.next")


class PrintkInfo(Struct, name="struct printk_info"):
    """What is known of a message besides its text."""

    seq: U64
    ts_nsec: U64
    text_len: U16
    facility: U8
    caller_id: U32
