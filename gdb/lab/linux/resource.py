# SPDX-License-Identifier: GPL-2.0-only
"""What stands at which physical address: struct resource (include/linux/ioport.h)."""

from __future__ import annotations

from typing import Iterator, NamedTuple

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Broken, Fault
from .structs.lib import Resource


class Range(NamedTuple):
    """One line of /proc/iomem."""

    start: int
    end: int  # the last address, as the kernel counts here
    name: str
    depth: int  # 0 for those directly in the bus's address space
    address: Ptr[Resource]


def for_each_resource() -> Iterator[Range]:
    """The tree of iomem_resource, as /proc/iomem shows it: r_next().

    Raises Broken, after what could be read.
    """
    guest = kernel.memory()
    root = Ptr[Resource](structs.address_of("iomem_resource"))
    below = [(Resource(guest, root).child, 0)]
    seen = {root}
    while below:
        address, depth = below.pop()
        if not address:
            continue
        if address in seen:
            raise Broken(f"the resources are a cycle: {address:#x} comes again")
        seen.add(address)
        try:
            read = Resource(guest, address)
            name = guest.read_string(read.name) if read.name else b"<BAD>"
        except Fault as fault:
            raise Broken(f"the resources are cut: {fault}") from None
        yield Range(read.start, read.end, text_of(name), depth, address)
        below += [(read.sibling, depth), (read.child, depth + 1)]


def resources_at(physical: int) -> list[Range]:
    """The resources that hold a physical address, from the outermost inwards.

    Raises Broken.
    """
    return [
        range_
        for range_ in for_each_resource()
        if range_.start <= physical <= range_.end
    ]
