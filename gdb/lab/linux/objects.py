# SPDX-License-Identifier: GPL-2.0-only
"""What an object of a slab cache is, by the name of the cache.

Other kinds of the same size may share a cache, unless it was made with SLAB_ACCOUNT or
others of SLAB_NEVER_MERGE: mm/slab_common.c. All of these were.
"""

from __future__ import annotations

from typing import Callable

from ..printable import text_of
from ..target import kernel, structs
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


def type_of(cache: str) -> str:
    """The C type of a cache's objects, "" where it is not known or no structure.

    Only the cache's own objects have it: another kind may share the cache, which its
    refcount tells.
    """
    name = TYPES.get(cache, f"struct {cache}")
    return name if structs.has_type(name) else ""


TYPES = {  # where the type is not called as its cache is
    "filp": "struct file",
    "inode_cache": "struct inode",
    "proc_inode_cache": "struct proc_inode",
    "shmem_inode_cache": "struct shmem_inode_info",
    "sock_inode_cache": "struct socket_alloc",
    "bdev_cache": "struct bdev_inode",
    "hugetlbfs_inode_cache": "struct hugetlbfs_inode_info",
    "signal_cache": "struct signal_struct",
    "sighand_cache": "struct sighand_struct",
    "files_cache": "struct files_struct",
    "fs_cache": "struct fs_struct",
    "cred_jar": "struct cred",
    "mnt_cache": "struct mount",
    "radix_tree_node": "struct xa_node",
    "kernfs_node_cache": "struct kernfs_node",
    "eventpoll_epi": "struct epitem",
    "eventpoll_pwq": "struct eppoll_entry",
    "skbuff_head_cache": "struct sk_buff",
    "skbuff_fclone_cache": "struct sk_buff_fclones",
    "file_lock_cache": "struct file_lock",
    "posix_timers_cache": "struct k_itimer",
    "blkdev_ioc": "struct io_context",
    "shared_policy_node": "struct sp_node",
    "numa_policy": "struct mempolicy",
    "pool_workqueue": "struct pool_workqueue",
    "task_delay_info": "struct task_delay_info",
    "trace_event_file": "struct trace_event_file",
}
TELLERS: dict[str, Callable[[int], str]] = {
    "task_struct": _task,
    "mm_struct": _mm,
    "vm_area_struct": _vma,
    "dentry": _dentry,
    "filp": _file,
    "inode_cache": _inode,
}
