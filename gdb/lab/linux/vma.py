# SPDX-License-Identifier: GPL-2.0-only
"""Areas of an address space: struct vm_area_struct (include/linux/mm_types.h)."""

from __future__ import annotations

from typing import Iterator

from ..target import kernel, structs
from ..target.cstruct import NULL, Ptr
from ..target.memory import Broken, Fault
from . import maple, path
from .mm import mm_struct
from .structs.fs import Path
from .structs.lib import MapleTree, RbNode
from .structs.mm_types import (
    MmStruct,
    VmAreaStruct,
    VmOperationsStruct,
    VmSpecialMapping,
)

# The list and the red-black tree gave way to mm->mm_mt in v6.1 (763ecb035029);
# anon_name came in v5.17 (9a10064f5625).
structs.expect("special_mapping_name")


def is_listed() -> bool:
    """Does this kernel chain areas with vm_next, or keep a maple tree (v6.1)?"""
    return structs.has_member("struct mm_struct", "mmap")


def for_each_vma(mm: Ptr[MmStruct]) -> Iterator[VmAreaStruct]:
    """All areas of an address space in address order, as the kernel goes.

    :param mm: struct mm_struct *
    :raises Broken: after what could be read
    """
    return for_each_listed(mm) if is_listed() else for_each_mapped(mm)


def for_each_mapped(mm: Ptr[MmStruct]) -> Iterator[VmAreaStruct]:
    """The areas in the maple tree mm->mm_mt; otherwise as for_each_vma()."""
    read = VmAreaStruct.reader(kernel.memory())
    for _, _, address in maple.mas_for_each(tree_of(mm)):
        try:
            area = read(address)
        except Fault as fault:
            raise Broken(f"mm_mt has an area that cannot be read: {fault}") from None
        yield area


def tree_of(mm: Ptr[MmStruct]) -> Ptr[MapleTree]:
    """The struct maple_tree * of an address space."""
    return Ptr[MapleTree](mm + structs.offsetof("struct mm_struct", "mm_mt"))


def for_each_listed(mm: Ptr[MmStruct]) -> Iterator[VmAreaStruct]:
    """The areas of the vm_next chain from mm->mmap; otherwise as for_each_vma()."""
    read = VmAreaStruct.reader(kernel.memory())
    address = mm_struct(mm).mmap
    seen: set[Ptr[VmAreaStruct]] = set()
    while address:
        if address in seen:
            raise Broken(
                f"vm_next is a cycle: area {address:#x} comes again after {len(seen)} areas"
            )
        seen.add(address)
        try:
            area = read(address)
        except Fault as fault:
            raise Broken(
                f"vm_next is cut after {len(seen) - 1} areas: {fault}"
            ) from None
        yield area
        address = area.vm_next


def rb_node(node: Ptr[RbNode]) -> RbNode:
    """Read one struct rb_node. Raises Broken where there is none."""
    try:
        return RbNode(kernel.memory(), node)
    except Fault as fault:
        raise Broken(f"mm_rb is cut: {fault}") from None


def for_each_rb(mm: Ptr[MmStruct]) -> Iterator[Ptr[VmAreaStruct]]:
    """The areas in order of the red-black tree mm->mm_rb, as rb_next() goes.

    Yields struct vm_area_struct *. Raises Broken for a cycle and for a pointer that
    cannot be read. See lib/rbtree.c.

    :param mm: struct mm_struct *
    """
    inside = structs.offsetof("struct vm_area_struct", "vm_rb")
    node: Ptr[RbNode] = mm_struct(mm).mm_rb or NULL
    above: list[tuple[Ptr[RbNode], Ptr[RbNode]]] = []
    seen: set[Ptr[RbNode]] = set()
    while node or above:
        while node:
            if node in seen:
                raise Broken(f"mm_rb is a cycle: node {node:#x} comes again")
            seen.add(node)
            links = rb_node(node)
            above.append((node, links.rb_right))
            node = links.rb_left
        node, right = above.pop()
        yield Ptr[VmAreaStruct](node - inside)
        node = right


def vma_name(area: VmAreaStruct, mm: MmStruct, root: Ptr[Path]) -> bytes:
    """What /proc/PID/maps calls an area: show_map_vma() in fs/proc/task_mmu.c.

    Empty for plain anonymous memory. Raises memory.Fault.

    :param root: struct path * of the process's root directory
    """
    given = _given_name(area)
    if area.vm_file:
        if given is not None:
            return b"[anon_shmem:%s]" % given
        return path.mangle_path(path.file_path(area.vm_file, root))
    special = _special_name(area)
    if special is not None:
        return special
    if area.vm_start <= mm.brk and area.vm_end >= mm.start_brk:
        return b"[heap]"
    if area.vm_start <= mm.start_stack <= area.vm_end:
        return b"[stack]"
    return b"" if given is None else b"[anon:%s]" % given


def _special_name(area: VmAreaStruct) -> bytes | None:
    """The name a vm_ops->name function returns, such as [vdso].

    special_mapping_name() (mm/mmap.c) is the one that areas of a process have.
    """
    if not area.vm_ops:
        return None
    guest = kernel.memory()
    function = VmOperationsStruct(guest, area.vm_ops).name
    if function != structs.address_of("special_mapping_name"):
        return None
    return guest.read_string(VmSpecialMapping(guest, Ptr(area.vm_private_data)).name)


def is_named(area: VmAreaStruct) -> bool:
    """Has prctl(PR_SET_VMA_ANON_NAME) named it? v5.17, 9a10064f5625.

    anon_name shares its place with other members for a file's area until v6.2,
    so only an area without a file has one there.
    """
    return bool(area.anon_name) and (not area.vm_file or _shmem_can_be_named())


def _given_name(area: VmAreaStruct) -> bytes | None:
    if not is_named(area):
        return None
    in_name = structs.offsetof("struct anon_vma_name", "name")
    return kernel.memory().read_string((area.anon_name or 0) + in_name)


@structs.cached
def _shmem_can_be_named() -> bool:
    """Named shared anonymous memory: v6.2, d09e8ca6cb93."""
    kind = structs.lookup_type("struct vm_area_struct")
    return any(field.name == "anon_name" for field in kind.fields)


MAX_RB_DEPTH = 200  # twice what a red-black tree of 2**64 nodes can have


def find_vma(mm: Ptr[MmStruct], address: int) -> VmAreaStruct | None:
    """The first area that ends above an address: it holds it, or is the next.

    None if all areas end at or below it. Found by way of the tree, as the kernel does.
    See mm/mmap.c.

    :param mm: struct mm_struct *
    :raises Broken: a list or tree is damaged
    """
    return _find_rb(mm, address) if is_listed() else _find_maple(mm, address)


def vma_lookup(mm: Ptr[MmStruct], address: int) -> VmAreaStruct | None:
    """The area that holds an address, None in a gap: vma_lookup() in mm.h.

    :param mm: struct mm_struct *
    :raises Broken: the tree is damaged
    """
    found = find_vma(mm, address)
    return found if found is not None and found.vm_start <= address else None


def area_before(mm: Ptr[MmStruct], address: int) -> VmAreaStruct | None:
    """The area before the one that find_vma() gives; the last one if it gives none.

    What find_vma_prev() in mm/mmap.c gives by its third argument. Raises Broken.
    """
    found = find_vma(mm, address)
    if not is_listed():
        return _find_maple_below(mm, found.vm_start if found else 1 << 63)
    before = found.vm_prev if found else _last_rb(mm)
    return _area(before) if before else None


def _area(address: Ptr[VmAreaStruct]) -> VmAreaStruct:
    """Read one area. Raises Broken where there is none."""
    try:
        return VmAreaStruct(kernel.memory(), address)
    except Fault as fault:
        raise Broken(f"an area cannot be read: {fault}") from None


def _find_rb(mm: Ptr[MmStruct], address: int) -> VmAreaStruct | None:
    """Down the red-black tree, which is sorted by address."""
    inside = structs.offsetof("struct vm_area_struct", "vm_rb")
    node, best = mm_struct(mm).mm_rb, None
    for _ in range(MAX_RB_DEPTH):
        if not node:
            return best
        area = _area(Ptr[VmAreaStruct](node - inside))
        links = rb_node(node)
        if area.vm_end > address:
            best = area
            node = links.rb_left
        else:
            node = links.rb_right
    raise Broken(f"mm_rb is a cycle: below {node:#x} it has no end")


def _last_rb(mm: Ptr[MmStruct]) -> Ptr[VmAreaStruct]:
    """The struct vm_area_struct * at the right end of the tree, 0 if it is empty."""
    node: Ptr[RbNode] = mm_struct(mm).mm_rb or NULL
    for _ in range(MAX_RB_DEPTH):
        right = rb_node(node).rb_right if node else NULL
        if not right:
            inside = structs.offsetof("struct vm_area_struct", "vm_rb")
            return Ptr[VmAreaStruct](node - inside) if node else NULL
        node = right
    raise Broken(f"mm_rb is a cycle: right of {node:#x} it has no end")


def _find_maple(mm: Ptr[MmStruct], address: int) -> VmAreaStruct | None:
    tree = tree_of(mm)
    while address < 1 << 64:
        _, last, entry = maple.mas_walk(tree, address)
        if entry:
            return _area(entry)
        address = last + 1
    return None


def _find_maple_below(mm: Ptr[MmStruct], address: int) -> VmAreaStruct | None:
    tree = tree_of(mm)
    while address > 0:
        first, _, entry = maple.mas_walk(tree, address - 1)
        if entry:
            return _area(entry)
        address = first
    return None
