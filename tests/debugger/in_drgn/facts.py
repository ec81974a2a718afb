# SPDX-License-Identifier: GPL-2.0-only
"""Inside drgn: print what it finds in a dump, as JSON.

    drgn -c DUMP -s VMLINUX facts.py PID...   with details of these processes
"""

import json
import sys
from typing import Any, Iterator

from drgn import Object, Program
from drgn.helpers.linux import (
    d_path,
    find_task,
    for_each_file,
    for_each_task,
    rbtree_inorder_for_each_entry,
    task_cpu,
    task_state_to_char,
)

prog: Program

BOUNDARIES = ("start_code", "end_code", "start_data", "end_data", "start_brk", "brk")
BOUNDARIES += ("start_stack", "arg_start", "arg_end", "env_start", "env_end")
COUNTERS = ("total_vm", "data_vm", "exec_vm", "stack_vm", "locked_vm", "map_count")
COUNTERS += ("hiwater_rss", "hiwater_vm", "def_flags", "mmap_base", "task_size", "pgd")


def text(name: bytes) -> str:
    """Return any bytes as text, for JSON."""
    return name.hex()


def task(task_struct: Object) -> dict[str, Any]:
    return {
        "task": task_struct.value_(),
        "pid": task_struct.pid.value_(),
        "tgid": task_struct.tgid.value_(),
        "ppid": task_struct.real_parent.tgid.value_(),
        "uid": task_struct.cred.uid.val.value_(),
        "euid": task_struct.cred.euid.val.value_(),
        "state": task_state_to_char(task_struct),
        "cpu": task_cpu(task_struct),
        "threads": task_struct.signal.nr_threads.value_(),
        "comm": text(task_struct.comm.string_()),
        "is_kernel": not task_struct.mm and bool(task_struct.flags & 0x0020_0000),
    }


def counter(value: Object) -> int:
    """Return the value of an atomic_t or atomic64_t."""
    return value.counter.value_()


def mm(mm_struct: Object) -> dict[str, int]:
    found = {name: getattr(mm_struct, name).value_() for name in BOUNDARIES + COUNTERS}
    pinned = mm_struct.pinned_vm
    found["pinned_vm"] = counter(pinned)
    found["mm_users"] = counter(mm_struct.mm_users)
    found["mm_count"] = counter(mm_struct.mm_count)
    found["pgtables_bytes"] = counter(mm_struct.pgtables_bytes)
    found["rss"] = [counter(value) for value in mm_struct.rss_stat.count]
    found["auxv"] = mm_struct.saved_auxv.value_()
    found["exe_file"] = mm_struct.exe_file.value_()
    return found


def area(vma: Object) -> dict[str, Any]:
    return {
        "vma": vma.value_(),
        "start": vma.vm_start.value_(),
        "end": vma.vm_end.value_(),
        "pgoff": vma.vm_pgoff.value_(),
        "flags": vma.vm_flags.value_(),
        "anon_vma": vma.anon_vma.value_(),
        "file": text(d_path(vma.vm_file.f_path)) if vma.vm_file else "",
        "inode": vma.vm_file.f_inode.i_ino.value_() if vma.vm_file else 0,
    }


def listed(mm_struct: Object) -> Iterator[Object]:
    area = mm_struct.mmap
    while area:
        yield area
        area = area.vm_next


def vmas(mm_struct: Object) -> dict[str, Any] | None:
    """By the list, and by drgn's own red-black tree walk; else by drgn's for_each_vma."""
    if hasattr(mm_struct, "mmap"):
        in_tree = rbtree_inorder_for_each_entry(
            "struct vm_area_struct", mm_struct.mm_rb.address_of_(), "vm_rb"
        )
        return {
            "list": [area(vma) for vma in listed(mm_struct)],
            "tree": [vma.value_() for vma in in_tree],
        }
    try:
        from drgn.helpers.linux.mm import for_each_vma
    except ImportError:
        return None
    return {"list": [area(vma) for vma in for_each_vma(mm_struct)]}


def files(task_struct: Object) -> list[dict[str, Any]]:
    return [
        {
            "fd": fd,
            "file": file.value_(),
            "path": text(d_path(file.f_path)),
            "pos": file.f_pos.value_(),
            "flags": file.f_flags.value_(),
            "inode": file.f_inode.i_ino.value_(),
        }
        for fd, file in for_each_file(task_struct)
    ]


def stack(task_struct: Object) -> list[int]:
    """Where each frame of a sleeping task is; inlined frames have no place of their own."""
    found: list[int] = []
    for frame in prog.stack_trace(task_struct):
        try:
            pc = frame.pc
        except LookupError:
            break
        if not found or found[-1] != pc:
            found.append(pc)
    return found


def process(pid: int) -> dict[str, Any]:
    task_struct = find_task(prog, pid)
    found: dict[str, Any] = {"stack": stack(task_struct)}
    if task_struct.files:
        found["files"] = files(task_struct)
    if task_struct.mm:
        found |= {
            "mm": mm(task_struct.mm),
            "vmas": vmas(task_struct.mm),
            "mm_at": task_struct.mm.value_(),
        }
    return found


json.dump(
    {
        "tasks": [task(task_struct) for task_struct in for_each_task(prog)],
        "processes": {pid: process(int(pid)) for pid in sys.argv[1:]},
    },
    sys.stdout,
)
