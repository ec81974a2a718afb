# SPDX-License-Identifier: GPL-2.0-only
"""Areas as /proc/PID/maps shows them, and what backs each.

See show_map_vma() in fs/proc/task_mmu.c.
"""

from __future__ import annotations

import bisect
import os
from dataclasses import dataclass
from typing import Callable, Iterator, NamedTuple

from ..printable import text_of
from ..result import Address, Flags, Number, Size, Words
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import PAGE_SIZE, Broken, Fault
from . import mm as mm_, path, vma
from .mm import mm_struct
from .structs.fs import File, FileSystemType, Inode, Path, SuperBlock
from .structs.mm_types import MmStruct, VmAreaStruct
from .vmflags import VM_EXEC, VM_HUGETLB, flag_codes, permissions

MINOR_BITS = 20  # MINORBITS, include/linux/kdev_t.h
S_IFMT, S_IFCHR = 0o170000, 0o020000
VSYSCALL_NONE = 2  # of vsyscall_mode's enum, arch/x86/entry/vsyscall/vsyscall_64.c
structs.expect("gate_vma", "vsyscall_mode")


class Area(NamedTuple):
    """One area, as a line of /proc/PID/maps and more."""

    start: Address
    end: Address
    perms: Words
    offset: Address  # in the file, bytes; 0 without a file
    dev: Words  # major:minor, in hex
    inode: Number
    name: Words
    size: Size
    flags: Flags  # as VmFlags of /proc/PID/smaps
    backing: Words
    pgoff: Address  # vm_pgoff, pages: for anonymous memory the page it started as
    anon_vma: Address
    vma: Address  # struct vm_area_struct *


def for_each_area(mm: Ptr[MmStruct], root: Ptr[Path]) -> Iterator[Area]:
    """All areas of an address space in order, then the gate area.

    Raises Broken after what could be read, also where what is found next is no area, or
    not all are found.

    :param mm: struct mm_struct *
    :param root: struct path * of the directory from which names of files are told
    """
    read = mm_.mm_struct(mm)
    files: dict[Ptr[File], MappedFile] = {}
    count = end = 0
    for area in vma.for_each_vma(mm):
        if not end <= area.vm_start < area.vm_end:
            raise Broken(
                f"what follows {count} areas, at {area.address:#x}, is no area above "
                f"them: it goes from {area.vm_start:#x} to {area.vm_end:#x}"
            )
        yield _area(area, read, root, files)
        count, end = count + 1, area.vm_end
    gate = gate_area()
    if gate is not None:
        yield _area(gate, read, root, files)._replace(
            name="[vsyscall]", backing="vsyscall"
        )
    if count != read.map_count:
        raise Broken(
            f"map_count is {read.map_count} and {count} areas are found: one of them is "
            "damaged, or the kernel is just changing them"
        )


def describer(
    mm: Ptr[MmStruct], root: Ptr[Path]
) -> Callable[[Ptr[VmAreaStruct]], Area]:
    """A function that describes an area by its address: faster for many of one mm.

    It takes a struct vm_area_struct *, and raises memory.Fault.

    :param root: struct path * of the root directory from which names are told
    """
    guest = kernel.memory()
    read = mm_.mm_struct(mm)
    files: dict[Ptr[File], MappedFile] = {}
    return lambda address: _area(VmAreaStruct(guest, address), read, root, files)


def area_of(address: Ptr[VmAreaStruct], mm: Ptr[MmStruct], root: Ptr[Path]) -> Area:
    """One area: struct vm_area_struct *. Raises memory.Fault."""
    return describer(mm, root)(address)


def _area(
    area: VmAreaStruct,
    mm: MmStruct,
    root: Ptr[Path],
    files: dict[Ptr[File], MappedFile],
) -> Area:
    file = None
    try:
        if area.vm_file:
            file = files.get(area.vm_file)
            if file is None:
                file = files[area.vm_file] = file_of(area.vm_file, root)
        name = area_name(area, mm, root, file.name if file else None)
    except Fault as fault:
        name = f"? {fault}"
    return Area(
        start=area.vm_start,
        end=area.vm_end,
        perms=permissions(area.vm_flags),
        offset=area.vm_pgoff * PAGE_SIZE if area.vm_file else 0,
        dev=file.device if file else "00:00",
        inode=file.inode if file else 0,
        name=name,
        size=area.vm_end - area.vm_start,
        flags=flag_codes(area.vm_flags),
        backing=backing(area, name, file),
        pgoff=area.vm_pgoff,
        anon_vma=area.anon_vma,
        vma=area.address,
    )


def area_name(
    area: VmAreaStruct, mm: MmStruct, root: Ptr[Path], of_file: str | None
) -> str:
    """What /proc/PID/maps calls an area, "" for plain anonymous memory.

    :param root: struct path * of the root directory from which names are told
    :param of_file: the file_name() of its file, which takes long to read; None if it
        has no file
    :raises Fault: it cannot be read
    """
    if of_file is None or vma.is_named(area):
        return text_of(vma.vma_name(area, mm, root))
    return of_file


def file_name(file: Ptr[File], root: Ptr[Path]) -> str:
    """What /proc/PID/maps calls a file: struct file *. Raises Fault."""
    return text_of(path.mangle_path(path.file_path(file, root)))


@dataclass(frozen=True)
class MappedFile:
    """The file behind an area, as /proc/PID/maps shows it."""

    address: Ptr[File]
    name: str
    device: str  # major:minor in hex
    inode: int
    mode: int  # i_mode
    filesystem: str


def file_of(file: Ptr[File], root: Ptr[Path]) -> MappedFile:
    """Read what is known of an open file.

    :param file: struct file *
    :param root: struct path * of the root directory from which names are told
    :raises Fault: what it takes cannot be read
    """
    guest = kernel.memory()
    inode = Inode(guest, File(guest, file).f_inode)
    device = SuperBlock(guest, inode.i_sb)
    kind = guest.read_string(FileSystemType(guest, device.s_type).name)
    major, minor = device.s_dev >> MINOR_BITS, device.s_dev & (1 << MINOR_BITS) - 1
    return MappedFile(
        address=file,
        name=file_name(file, root),
        device=f"{major:02x}:{minor:02x}",
        inode=inode.i_ino,
        mode=inode.i_mode,
        filesystem=text_of(kind),
    )


def backing(area: VmAreaStruct, name: str, file: MappedFile | None) -> str:
    """What backs an area, in a word or two.

    :param name: its name in /proc/PID/maps
    :param file: its file, None if it has none
    """
    if area.vm_flags & VM_HUGETLB:
        return "huge pages"
    if file is None or not area.vm_ops:  # /dev/zero gives private memory away
        return _without_file(area, name)
    if file.filesystem == "tmpfs" and is_shmem(area) and not _is_visible(name):
        return "shared memory"
    if file.mode & S_IFMT == S_IFCHR:
        return "device"
    return "file"


def _is_visible(name: str) -> bool:
    """Is it a file of a mounted tmpfs, and not one that only the kernel names?"""
    made = ("/dev/zero (deleted)", "/memfd:", "/SYSV")
    return not name.startswith((*made, "[anon_shmem:"))


def _without_file(area: VmAreaStruct, name: str) -> str:
    if name in ("[heap]", "[stack]"):
        return name[1:-1]
    if area.vm_ops:
        return name[1:-1] if name.startswith("[v") else "special"
    return "anonymous"


@structs.cached
def _shmem_operations() -> set[int]:
    """vma_is_shmem(), and System V's (ipc/shm.c), which stand before shmem's own.

    A set for anonymous shared memory came in v6.2 (d09e8ca6cb93).
    """
    symbols = ("shmem_vm_ops", "shmem_anon_vm_ops", "shm_vm_ops")
    return {structs.address_of(name) for name in symbols if structs.has_symbol(name)}


def is_shmem(area: VmAreaStruct) -> bool:
    """Is an area's memory in the page cache of shmem, which swap backs?"""
    return area.vm_ops in _shmem_operations()


def gate_area() -> VmAreaStruct | None:
    """The page behind all processes, [vsyscall], as maps shows it: gate_vma.

    None where the kernel has none.
    """
    if not structs.has_symbol("gate_vma"):
        return None
    guest = kernel.memory()
    mode = guest.read(structs.address_of("vsyscall_mode"), 4)
    if int.from_bytes(mode, "little") == VSYSCALL_NONE:
        return None
    return VmAreaStruct(guest, Ptr[VmAreaStruct](structs.address_of("gate_vma")))


class Places:
    """The areas of an address space as they are at this stop.

    If the list of areas is broken, they are known as far as it could be read. Raises
    memory.Fault.

    :param root: struct path * of the directory from which names of files are told
    """

    def __init__(self, mm: Ptr[MmStruct], root: Ptr[Path]) -> None:
        self.mm = mm_struct(mm)
        self.root = root
        self.areas: list[VmAreaStruct] = []
        try:
            for area in vma.for_each_vma(mm):
                self.areas.append(area)
        except Broken:
            pass
        self.starts = [area.vm_start for area in self.areas]

    def find(self, address: int) -> VmAreaStruct | None:
        """The area around an address, None in a gap: vma_lookup() in mm.h."""
        before = bisect.bisect_right(self.starts, address)
        if not before or address >= self.areas[before - 1].vm_end:
            return None
        return self.areas[before - 1]

    def above(self, address: int) -> VmAreaStruct | None:
        """The first area that starts behind an address, None if none does."""
        after = bisect.bisect_right(self.starts, address)
        return self.areas[after] if after < len(self.areas) else None

    def name(self, area: VmAreaStruct) -> str:
        """What /proc/PID/maps calls an area; "[anon]" for what it does not name."""
        try:
            name = vma.vma_name(area, self.mm, self.root)
        except Fault:
            return "[unreadable name]"
        return text_of(name) or "[anon]"

    def path(self, area: VmAreaStruct) -> str:
        """The same as a name of files, in which nothing is escaped; "" if unknown."""
        try:
            return os.fsdecode(vma.vma_name(area, self.mm, self.root))
        except Fault:
            return ""

    def text(self, address: int) -> str:
        """NAME+OFFSET of an address, "" in a gap.

        The offset is in the file that is mapped, else from the area's start.
        """
        area = self.find(address)
        if area is None:
            return ""
        return f"{self.name(area)}+{offset(area, address):#x}"

    def is_code(self, address: int) -> bool:
        """May the process execute what is there?"""
        area = self.find(address)
        return area is not None and bool(area.vm_flags & VM_EXEC)


def offset(area: VmAreaStruct, address: int) -> int:
    """How far an address is into the mapped file, or into an area without one."""
    inside = address - area.vm_start
    return inside + area.vm_pgoff * PAGE_SIZE if area.vm_file else inside
