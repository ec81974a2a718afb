# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's log: kernel/printk/printk_ringbuffer.c."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator

from ..arrays import Uint64s, np
from ..printable import text_of
from ..target import kernel, members, structs
from ..target.cstruct import Ptr
from ..target.debugger import Refused
from ..target.memory import Broken, Fault
from . import kallsyms, slub, vmalloc
from .structs.printk import PrbDesc, PrintkInfo, PrintkRingbuffer

LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
COMMITTED, FINALIZED = 1, 2  # enum desc_state
STATE_SHIFT = 62
CALLER_CPU = 0x8000_0000  # the caller_id of what no task has printed
MOST_BITS = 27  # of a ring: LOG_BUF_SHIFT is 25 at most, log_buf_len= may give more
HASHED = re.compile(r"\b(?:0x)?0{8}([0-9a-f]{8})\b")  # what %p prints
structs.expect("prb")


@dataclass(frozen=True)
class Message:
    """A message of the log."""

    seq: int
    nanoseconds: int  # since the kernel began to count
    level: str
    facility: int
    caller: str  # T and a thread's id, or C and a CPU's number, as dmesg shows it
    text: str


def messages() -> Iterator[Message]:
    """The messages of the log, the oldest first.

    :raises Refused: this kernel keeps it in another way
    :raises Broken: after what could be read, if it is damaged
    """
    if not structs.has_symbol("prb") or not structs.has_type("struct prb_desc"):
        raise Refused(
            "This kernel has no log that the lab reads: CONFIG_PRINTK is off."
        )
    guest = kernel.memory()
    try:
        place = Ptr[PrintkRingbuffer](guest.u64(structs.address_of("prb")))
        ring = PrintkRingbuffer(guest, place)
        if max(ring.count_bits, ring.size_bits) > MOST_BITS:
            raise Broken(
                f"the log has 1 << {ring.count_bits} messages in 1 << {ring.size_bits} bytes"
            )
        texts = guest.read(ring.data, 1 << ring.size_bits)
        yield from _messages(ring, texts)
    except Fault as fault:
        raise Broken(f"the log cannot be read: {fault}") from None


def _messages(ring: PrintkRingbuffer, texts: bytes) -> Iterator[Message]:
    count = 1 << ring.count_bits
    first, last = ring.tail_id, ring.head_id
    if not 0 <= (last - first) % (1 << STATE_SHIFT) < count:
        raise Broken(f"the log goes from message {first:#x} to {last:#x}")
    desc, info = structs.sizeof("struct prb_desc"), structs.sizeof("struct printk_info")
    guest = kernel.memory()
    for number in range((last - first) % (1 << STATE_SHIFT) + 1):
        own = (first + number) % (1 << STATE_SHIFT)
        read = PrbDesc(guest, Ptr[PrbDesc](ring.descs + own % count * desc))
        state = read.state_var >> STATE_SHIFT & 3
        if state not in (COMMITTED, FINALIZED):
            continue  # just being written, or given up
        if read.state_var % (1 << STATE_SHIFT) != own:
            continue  # not used yet
        place = Ptr[PrintkInfo](ring.infos + own % count * info)
        yield _message(place, _text(read, texts))


def _text(read: PrbDesc, texts: bytes) -> bytes:
    """The text of a message, behind the id of its descriptor: get_data()."""
    size = len(texts)
    if read.begin & 1:
        return b""  # FAILED_LPOS, NO_LPOS
    begin, end = read.begin % size, read.next % size
    if read.begin // size != read.next // size:
        begin, end = (0, end) if end else (begin, size)  # a wrapped block starts anew
    if not begin <= end:
        raise Broken(f"a text of the log goes from {begin:#x} to {end:#x}")
    return texts[begin + 8 : end]


def _message(place: Ptr[PrintkInfo], text: bytes) -> Message:
    guest = kernel.memory()
    read = PrintkInfo(guest, place)
    level = members.place_of("struct printk_info", "level")
    number = members.read(level, place) if level else 0
    assert isinstance(number, int)
    caller, kind = read.caller_id & ~CALLER_CPU, "TC"[bool(read.caller_id & CALLER_CPU)]
    return Message(
        seq=read.seq,
        nanoseconds=read.ts_nsec,
        level=LEVELS[number & 7],
        facility=read.facility,
        caller=f"{kind}{caller}",
        text=text_of(text[: read.text_len]),
    )


# --- Hashed pointers ---------------------------------------------------------------


def siphash_1u64(values: Uint64s, key: tuple[int, int]) -> Uint64s:
    """SipHash-2-4 of each of many words: lib/siphash.c."""
    constants = (
        *(0x736F_6D65_7073_6575, 0x646F_7261_6E64_6F6D),
        *(0x6C79_6765_6E65_7261, 0x7465_6462_7974_6573),
    )
    v = [
        np.full(len(values), constant ^ key[number & 1], np.uint64)
        for number, constant in enumerate(constants)
    ]
    for word in (values, np.full(len(values), 8 << 56, np.uint64)):
        v[3] ^= word
        _rounds(v, 2)
        v[0] ^= word
    v[2] ^= np.uint64(0xFF)
    _rounds(v, 4)
    found: Uint64s = v[0] ^ v[1] ^ v[2] ^ v[3]
    return found


def _rounds(v: list[Uint64s], count: int) -> None:
    """SIPHASH_PERMUTATION() several times, in place."""

    def mix(a: int, b: int, rotate: int) -> None:
        v[a] += v[b]
        v[b] = _rol64(v[b], rotate) ^ v[a]

    for _ in range(count):
        mix(0, 1, 13)
        v[0] = _rol64(v[0], 32)
        mix(2, 3, 16)
        mix(0, 3, 21)
        mix(2, 1, 17)
        v[2] = _rol64(v[2], 32)


def _rol64(words: Uint64s, by: int) -> Uint64s:
    found: Uint64s = words << np.uint64(by) | words >> np.uint64(64 - by)
    return found


def ptr_key() -> tuple[int, int] | None:
    """The key with which %p hashes, None while it has none. Raises memory.Fault.

    A variable of vsprintf.c, later one of a function in it: lib/vsprintf.c.
    """
    guest = kernel.memory()
    for place in _keys():
        key = guest.u64(place), guest.u64(place + 8)
        if any(key):
            return key
    return None


@structs.cached
def _keys() -> tuple[int, ...]:
    """Where the key may be: all names of the kernel are looked through once."""
    return tuple(symbol.start for symbol in kallsyms.starting_with("ptr_key"))


def pointers_of(hashes: set[int]) -> dict[int, int]:
    """The pointers behind hashes that %p has printed, as far as they are found.

    All that is likely to be printed is tried: objects of all slab caches, symbols, areas
    of the vmalloc region. Raises Broken, memory.Fault.

    :param hashes: the lower 32 bits
    """
    key = ptr_key() if hashes else None
    if key is None:
        return {}
    candidates = np.array(sorted({*_candidates()}), np.uint64)
    hashed = siphash_1u64(candidates, key) & np.uint64(0xFFFF_FFFF)
    wanted = np.array(sorted(hashes), np.uint64)
    found = np.flatnonzero(np.isin(hashed, wanted))
    return {int(hashed[number]): int(candidates[number]) for number in found}


def _candidates() -> Iterator[int]:
    for cache in slub.for_each_cache():
        for slab in slub.slabs_of(cache):
            start = slab.start + (cache.red_left_pad or 0)
            yield from range(start, start + slab.objects * cache.size, cache.size)
    table = kallsyms.kallsyms()
    yield from table.addresses if table else ()
    for one in vmalloc.for_each_vmap_area():
        yield one.area.va_start
