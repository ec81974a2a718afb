# SPDX-License-Identifier: GPL-2.0-only
"""What an object of a slab cache is, by the name of the cache.

Other kinds of the same size may share a cache, unless it was made with SLAB_ACCOUNT or
others of SLAB_NEVER_MERGE: mm/slab_common.c. All of these were.
"""

from __future__ import annotations

from typing import Callable

from ..printable import text_of
from ..target import kernel
from ..target.cstruct import Ptr
from . import path, task
from .structs.fs import Dentry, File, Inode
from .structs.mm_types import MmStruct, VmAreaStruct
from .structs.sched import TaskStruct


def teller(cache: str) -> Callable[[int], str] | None:
    """A function that tells what the object at an address is; None for an unknown type.

    It raises memory.Fault, Broken.
    """
    return TELLERS.get(cache)


def _task(address: int) -> str:
    read = TaskStruct(kernel.memory(), Ptr[TaskStruct](address))
    return f"{task.comm_text(read.comm)}, pid {read.pid}"


def _mm(address: int) -> str:
    read = MmStruct(kernel.memory(), Ptr[MmStruct](address))
    users = [
        task.task(leader)
        for leader in task.for_each_process()
        if TaskStruct(kernel.memory(), leader).mm == address
    ]
    whose = ", ".join(f"{user.comm} {user.pid}" for user in users) or "of no process"
    return f"{whose}, {read.map_count} areas"


def _vma(address: int) -> str:
    read = VmAreaStruct(kernel.memory(), Ptr[VmAreaStruct](address))
    return f"{read.vm_start:#x}-{read.vm_end:#x} of mm_struct {read.vm_mm:#x}"


def _dentry(address: int) -> str:
    return text_of(path.d_name(Ptr[Dentry](address)))


def _file(address: int) -> str:
    return text_of(path.file_path(Ptr[File](address), task.onlooker_root()))


def _inode(address: int) -> str:
    read = Inode(kernel.memory(), Ptr[Inode](address))
    return f"inode {read.i_ino}"


TELLERS: dict[str, Callable[[int], str]] = {
    "task_struct": _task,
    "mm_struct": _mm,
    "vm_area_struct": _vma,
    "dentry": _dentry,
    "filp": _file,
    "inode_cache": _inode,
}
