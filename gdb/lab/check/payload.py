# SPDX-License-Identifier: GPL-2.0-only
"""The payload of segment_info(2): what it must be, and whether it is.

The layout is the ABI of include/uapi/linux/segment_info.h: 1048 bytes. Each byte
belongs to exactly one field here, so no byte can differ unnoticed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from ..linux import mm as mm_, vma
from ..linux.structs.fs import Path
from ..linux.structs.mm_types import MmStruct, VmAreaStruct
from ..linux.task import Task, root_of
from ..linux.vmflags import VM_WRITE
from ..target.cstruct import Ptr
from ..target.memory import Broken, Fault
from .area_list import Invariant, check_list

WORDS = (*mm_.BOUNDARIES, "end_stack", "thread_sp", "mmap_base", "ma_size")
MAX_AREAS = 24  # SEGMENT_INFO_MAX_AREAS
NAME_LEN = 24  # SEGMENT_INFO_NAME_LEN
_HEAD = struct.Struct(f"<{len(WORDS)}Q")
_AREA = struct.Struct(f"<2Q{NAME_LEN}s")
SIZE = _HEAD.size + MAX_AREAS * _AREA.size


@dataclass(frozen=True)
class Area:
    """struct ma_struct; name is all 24 bytes, padding included."""

    vm_start: int
    vm_end: int
    name: bytes


@dataclass(frozen=True)
class Field:
    """A field of the payload: its C name, offset and size in bytes."""

    name: str
    offset: int
    size: int

    def value(self, data: bytes) -> int | bytes:
        """The field's value in a payload: bytes for a name, else a number."""
        raw = data[self.offset : self.offset + self.size]
        return raw if self.size == NAME_LEN else int.from_bytes(raw, "little")


@dataclass(frozen=True)
class Mismatch:
    """One value that is not as it must be.

    copy says where: "kernel" (its buffer), "delivered" (user memory), "list"
    (the areas as the kernel holds them), "return" (the call's result) or "guest"
    (memory that cannot be read).
    """

    copy: str
    field: str
    offset: int | None  # in the payload, bytes
    expected: int | bytes | str
    found: int | bytes | str


@dataclass(frozen=True)
class Walk:
    """What the debugger found on its own."""

    data: bytes  # the payload as it must be
    areas: int  # how many areas the list has
    invariants: tuple[Invariant, ...]
    names: tuple[bytes, ...] = ()  # of the areas in data, not shortened
    takes_payload: bool = True  # is all of the user's buffer writable?


def _all_fields() -> tuple[Field, ...]:
    fields = [Field(name, 8 * i, 8) for i, name in enumerate(WORDS)]
    for i in range(MAX_AREAS):
        start = _HEAD.size + i * _AREA.size
        fields.append(Field(f"ma[{i}].vm_start", start, 8))
        fields.append(Field(f"ma[{i}].vm_end", start + 8, 8))
        fields.append(Field(f"ma[{i}].name", start + 16, NAME_LEN))
    return tuple(fields)


FIELDS = _all_fields()


def decode(data: bytes) -> tuple[dict[str, int], list[Area]]:
    """The eleven words by name, and all 24 areas, valid or not."""
    words = dict(zip(WORDS, _HEAD.unpack_from(data)))
    return words, [Area(*area) for area in _AREA.iter_unpack(data[_HEAD.size : SIZE])]


def encode(words: dict[str, int], areas: list[Area]) -> bytes:
    """The 1048 bytes of a payload; the areas that are not given are zeros."""
    data = _HEAD.pack(*(words[name] for name in WORDS))
    data += b"".join(
        _AREA.pack(area.vm_start, area.vm_end, area.name) for area in areas
    )
    return data.ljust(SIZE, b"\0")


def compare(expected: bytes, found: bytes, copy: str) -> list[Mismatch]:
    """The fields in which two payloads differ."""
    if expected == found:
        return []
    return [
        Mismatch(copy, field.name, field.offset, want, have)
        for field in FIELDS
        if (want := field.value(expected)) != (have := field.value(found))
    ]


def walk(task: Task, mm: Ptr[MmStruct], thread_sp: int, info: int = 0) -> Walk:
    """Walk an address space and say what the payload must be.

    A broken list is not an error but an invariant that does not hold.

    :param task: the task that calls
    :param thread_sp: its stack pointer in user mode
    :param info: struct segment_info __user *, the buffer it gave
    :raises Fault: mm itself cannot be read
    """
    read = mm_.mm_struct(mm)
    found, broken = _follow(mm)
    root = root_of(task.fs)
    names = tuple(_name(area, read, root) for area in found[:MAX_AREAS])
    areas = [
        Area(area.vm_start, area.vm_end, _field(name))
        for area, name in zip(found, names)
    ]
    words = {name: getattr(read, name) for name in (*mm_.BOUNDARIES, "mmap_base")}
    words["end_stack"] = _end_stack(found, read.start_stack)
    words["thread_sp"] = thread_sp
    words["ma_size"] = len(areas)
    invariants = check_list(mm, read.map_count, found, broken)
    takes = _is_writable(found, info, info + SIZE)
    return Walk(encode(words, areas), len(found), invariants, names, takes)


def settle_names(walk: Walk, buffer: bytes, moved: bool) -> Walk:
    """Take a file's name from the kernel's buffer where it may have changed since.

    No lock that the call holds keeps a file from being renamed, mounted over
    or unlinked between the kernel's look at its name and ours.

    :param moved: has any file been renamed or mounted over since the call began?
    """
    data = bytearray(walk.data)
    for i, name in enumerate(walk.names):
        at = _HEAD.size + i * _AREA.size + 16
        field = buffer[at : at + NAME_LEN]
        if moved or field == _field(name.removesuffix(b" (deleted)")):
            data[at : at + NAME_LEN] = field
    return replace(walk, data=bytes(data))


def _follow(mm: Ptr[MmStruct]) -> tuple[list[VmAreaStruct], str]:
    """The areas as far as the list can be followed, and why it ended early."""
    found = []
    try:
        for area in vma.for_each_vma(mm):
            found.append(area)
    except Broken as broken:
        return found, str(broken)
    return found, ""


def _name(area: VmAreaStruct, mm: MmStruct, root: Ptr[Path]) -> bytes:
    """An area's name as /proc/PID/maps has it."""
    try:
        return vma.vma_name(area, mm, root)
    except Fault as fault:
        return b"?" + fault.reason.encode()


def _is_writable(found: list[VmAreaStruct], start: int, end: int) -> bool:
    """Is all of a range in areas that user mode may write?"""
    for area in found:
        if area.vm_start <= start < area.vm_end and area.vm_flags & VM_WRITE:
            start = area.vm_end
    return start >= end


def _field(name: bytes) -> bytes:
    """A name as it must stand in the payload: its last 23 bytes, and NULs."""
    return name[-(NAME_LEN - 1) :].ljust(NAME_LEN, b"\0")


def _end_stack(found: list[VmAreaStruct], start_stack: int) -> int:
    for area in found:
        if area.vm_start <= start_stack < area.vm_end:
            return area.vm_start
    return 0
