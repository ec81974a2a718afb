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


def task(one: Object) -> dict[str, Any]:
    return {
        "task": one.value_(),
        "pid": one.pid.value_(),
        "tgid": one.tgid.value_(),
        "ppid": one.real_parent.tgid.value_(),
        "uid": one.cred.uid.val.value_(),
        "euid": one.cred.euid.val.value_(),
        "state": task_state_to_char(one),
        "cpu": task_cpu(one),
        "threads": one.signal.nr_threads.value_(),
        "comm": text(one.comm.string_()),
        "is_kernel": not one.mm and bool(one.flags & 0x0020_0000),
    }


def counter(value: Object) -> int:
    """Return the value of an atomic_t or atomic64_t."""
    return value.counter.value_()


def mm(one: Object) -> dict[str, int]:
    found = {name: getattr(one, name).value_() for name in BOUNDARIES + COUNTERS}
    pinned = one.pinned_vm
    found["pinned_vm"] = counter(pinned)
    found["mm_users"] = counter(one.mm_users)
    found["mm_count"] = counter(one.mm_count)
    found["pgtables_bytes"] = counter(one.pgtables_bytes)
    found["rss"] = [counter(value) for value in one.rss_stat.count]
    found["auxv"] = one.saved_auxv.value_()
    found["exe_file"] = one.exe_file.value_()
    return found


def area(one: Object) -> dict[str, Any]:
    return {
        "vma": one.value_(),
        "start": one.vm_start.value_(),
        "end": one.vm_end.value_(),
        "pgoff": one.vm_pgoff.value_(),
        "flags": one.vm_flags.value_(),
        "anon_vma": one.anon_vma.value_(),
        "file": text(d_path(one.vm_file.f_path)) if one.vm_file else "",
        "inode": one.vm_file.f_inode.i_ino.value_() if one.vm_file else 0,
    }


def listed(one: Object) -> Iterator[Object]:
    area = one.mmap
    while area:
        yield area
        area = area.vm_next


def vmas(one: Object) -> dict[str, Any] | None:
    """By the list, and by drgn's own red-black tree walk; else by drgn's for_each_vma."""
    if hasattr(one, "mmap"):
        in_tree = rbtree_inorder_for_each_entry(
            "struct vm_area_struct", one.mm_rb.address_of_(), "vm_rb"
        )
        return {
            "list": [area(vma) for vma in listed(one)],
            "tree": [vma.value_() for vma in in_tree],
        }
    try:
        from drgn.helpers.linux.mm import for_each_vma
    except ImportError:
        return None
    return {"list": [area(vma) for vma in for_each_vma(one)]}


def files(one: Object) -> list[dict[str, Any]]:
    return [
        {
            "fd": fd,
            "file": file.value_(),
            "path": text(d_path(file.f_path)),
            "pos": file.f_pos.value_(),
            "flags": file.f_flags.value_(),
            "inode": file.f_inode.i_ino.value_(),
        }
        for fd, file in for_each_file(one)
    ]


def stack(one: Object) -> list[int]:
    """Where each frame of a sleeping task is; inlined frames have no place of their own."""
    found: list[int] = []
    for frame in prog.stack_trace(one):
        try:
            pc = frame.pc
        except LookupError:
            break
        if not found or found[-1] != pc:
            found.append(pc)
    return found


def process(pid: int) -> dict[str, Any]:
    one = find_task(prog, pid)
    found: dict[str, Any] = {"stack": stack(one)}
    if one.files:
        found["files"] = files(one)
    if one.mm:
        found |= {"mm": mm(one.mm), "vmas": vmas(one.mm), "mm_at": one.mm.value_()}
    return found


json.dump(
    {
        "tasks": [task(one) for one in for_each_task(prog)],
        "processes": {pid: process(int(pid)) for pid in sys.argv[1:]},
    },
    sys.stdout,
)
