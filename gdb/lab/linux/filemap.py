# SPDX-License-Identifier: GPL-2.0-only
"""The page cache: what is in memory of a file (mm/filemap.c, lib/xarray.c)."""

from __future__ import annotations

from typing import Any

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import NULL, Ptr
from ..target.memory import PAGE_SIZE, Fault
from . import page, path
from .maple import xa_is_node
from .structs.fs import AddressSpace, Dentry, File, FileSystemType, Inode, SuperBlock
from .structs.lib import XaNode
from .structs.mm_types import Page

MAX_SHIFT = 60  # an index has 64 bits


def xa_load(head: Ptr[Any], index: int) -> Ptr[Any]:
    """The entry at an index of an xarray, 0 if there is none: lib/xarray.c.

    :param head: xarray.xa_head
    :raises Fault: a node cannot be read, or is none
    """
    guest = kernel.memory()
    shift = None
    while xa_is_node(head):
        node = XaNode(guest, Ptr[XaNode](head - 2))
        if node.shift > MAX_SHIFT or shift is not None and node.shift >= shift:
            raise Fault(head - 2, "no node of an xarray")
        if shift is None and index >> node.shift >= len(node.slots) // 8:
            return NULL
        shift = node.shift
        head = _slot(node.slots, index >> shift)
    if shift is None and index:
        return NULL  # a lone entry is that of index 0
    return head


def _slot(slots: bytes, index: int) -> Ptr[Any]:
    """What is in a slot; one of a wide entry says in which slot that begins."""
    count = len(slots) // 8
    entry = int.from_bytes(slots[index % count * 8 :][:8], "little")
    if entry & 3 == 2 and entry >> 2 < count - 1:
        entry = int.from_bytes(slots[(entry >> 2) * 8 :][:8], "little")
    return Ptr(entry)


def mapping_name(mapping: Ptr[AddressSpace]) -> str:
    """Which file's pages these are: its name, inode and file system.

    A file has no name while it is not in the cache of names, or no more.

    :param mapping: struct address_space *
    """
    guest = kernel.memory()
    try:
        inode = Inode(guest, AddressSpace(guest, mapping).host)
        device = SuperBlock(guest, inode.i_sb)
        name = text_of(guest.read_string(FileSystemType(guest, device.s_type).name))
        text = f"inode {inode.i_ino} of {name}"
        if inode.i_dentry:
            inside = structs.offsetof("struct dentry", "d_u.d_alias")
            own = path.d_name(Ptr[Dentry](inode.i_dentry - inside))
            text = f"{text}, {text_of(own)}"
    except Fault:
        return f"address_space {mapping:#x}"
    return text


def find_get_page(mapping: Ptr[AddressSpace], index: int) -> int:
    """The physical address of a page of a file, by its number in the file.

    Raises Fault where it is not in memory.

    :param mapping: struct address_space *
    """
    guest = kernel.memory()
    found = xa_load(AddressSpace(guest, mapping).xa_head, index)
    if not found or found & 3:  # an internal entry, or what is left of a page gone
        raise Fault(index * PAGE_SIZE, "not in the page cache")
    head = page.compound_head(found)
    pages = 1
    if "head" in page.flag_names(Page(guest, head).flags):
        pages = 1 << page.compound_order(head)
    return (page.page_to_pfn(head) + index % pages) * PAGE_SIZE


def file_size(file: Ptr[File]) -> int:
    """The length of an open file in bytes."""
    guest = kernel.memory()
    return Inode(guest, File(guest, file).f_inode).i_size


def kernel_read_all(file: Ptr[File], largest: int) -> bytes:
    """Read a whole open file from the page cache.

    Raises Fault where it is not in memory, or is larger than so many bytes.

    :param file: struct file *
    """
    size = file_size(file)
    if size > largest:
        raise Fault(largest, f"a file of {size} bytes is not read further")
    return kernel_read(file, 0, size)


def kernel_read(file: Ptr[File], offset: int, size: int) -> bytes:
    """Read an open file from the page cache; short at the end of the file.

    Raises Fault where it is not in memory. Named after kernel_read() in
    fs/read_write.c.

    :param file: struct file *
    """
    physical = kernel.memory().physical
    mapping = File(kernel.memory(), file).f_mapping
    end = min(offset + size, file_size(file))
    parts = []
    while offset < end:
        step = min(end - offset, PAGE_SIZE - offset % PAGE_SIZE)
        place = find_get_page(mapping, offset // PAGE_SIZE) + offset % PAGE_SIZE
        buffer, at = physical.locate(place, step)
        parts.append(buffer[at : at + step])
        offset += step
    return b"".join(parts)
