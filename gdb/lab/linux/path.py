# SPDX-License-Identifier: GPL-2.0-only
"""Paths of open files: fs/d_path.c."""

from __future__ import annotations

from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Fault
from .structs.fs import (
    Dentry,
    DentryOperations,
    File,
    Inode,
    Mount,
    Path,
    ProcNsOperations,
    VfsMount,
)
from .structs.lib import Seqlock

PATH_MAX = 4096  # bytes: include/uapi/linux/limits.h
structs.expect("rename_lock", "mount_lock")


def moves() -> tuple[int, ...]:
    """Numbers that change when a file is renamed or mounted over, anywhere.

    The sequence counts of rename_lock (fs/dcache.c) and mount_lock
    (fs/namespace.c). Unlinking changes neither.
    """
    guest = kernel.memory()
    locks = ("rename_lock", "mount_lock")
    return tuple(
        Seqlock(guest, Ptr[Seqlock](structs.address_of(lock))).sequence
        for lock in locks
    )


def d_path(path: Ptr[Path], root: Ptr[Path]) -> bytes:
    """The name of a struct path as d_path() gives it for a process.

    :param path: struct path *
    :param root: struct path * of the process's root directory (&current->fs->root)
    :raises Fault: what it takes cannot be read
    """
    guest = kernel.memory()
    at = Path(guest, path)
    named = _d_dname(at.mnt, at.dentry)
    if named is not None:
        return named
    deleted = b" (deleted)" if _d_unlinked(at.dentry) else b""
    return _prepend_path(at, Path(guest, root)) + deleted


def file_path(file: Ptr[File], root: Ptr[Path]) -> bytes:
    """d_path() of an open file."""
    return d_path(Ptr[Path](file + structs.offsetof("struct file", "f_path")), root)


def d_name(dentry: Ptr[Dentry]) -> bytes:
    """The last component of a dentry's name, of any length.

    Short names are stored inside the dentry, long ones elsewhere: d_name.name points to
    either.

    :param dentry: struct dentry *
    :raises Fault: what it takes cannot be read
    """
    guest = kernel.memory()
    read = Dentry(guest, dentry)
    if read.d_name_len > PATH_MAX:  # corrupt; to read so much could take for ever
        raise Fault(dentry, f"a name of {read.d_name_len} bytes is none")
    return guest.read(read.d_name, read.d_name_len)


def mangle_path(path: bytes) -> bytes:
    """A path as /proc/PID/maps prints it: see seq_file_path(m, file, "\\n")."""
    return path.replace(b"\n", b"\\012")


def _prepend_path(at: Path, root: Path) -> bytes:
    """prepend_path(): from the file up to the root, across mounts."""
    guest = kernel.memory()
    vfsmnt, dentry = at.mnt, at.dentry
    in_mount = structs.offsetof("struct mount", "mnt")
    parts: list[bytes] = []
    seen: set[tuple[Ptr[VfsMount], Ptr[Dentry]]] = set()
    while (vfsmnt, dentry) != (root.mnt, root.dentry):
        if (vfsmnt, dentry) in seen:
            raise Fault(dentry, "the parents of this dentry have no end")
        seen.add((vfsmnt, dentry))
        mount = Ptr[Mount](vfsmnt - in_mount)
        above = Mount(guest, mount)
        parent = Dentry(guest, dentry).d_parent
        if dentry == above.mnt_root:
            if above.mnt_parent != mount:
                dentry = above.mnt_mountpoint
                vfsmnt = Ptr[VfsMount](above.mnt_parent + in_mount)
                continue
            break  # the global root, or a mount that is attached nowhere
        if dentry == parent:
            return b"/"  # moved out of its bind mount: the kernel gives up as well
        parts.append(d_name(dentry))
        dentry = parent
    return b"/" + b"/".join(reversed(parts))


def _d_unlinked(dentry: Ptr[Dentry]) -> bool:
    """d_unlinked(): not hashed, and not a root (include/linux/dcache.h)."""
    read = Dentry(kernel.memory(), dentry)
    return not read.d_hash_pprev and read.d_parent != dentry


def _d_dname(mnt: Ptr[VfsMount], dentry: Ptr[Dentry]) -> bytes | None:
    """The name that a pseudo file system makes up, None if dentry has no d_dname.

    A function of the kernel makes it; the ones here are all that a mapped or
    open file can have.
    """
    guest = kernel.memory()
    read = Dentry(guest, dentry)
    function = DentryOperations(guest, read.d_op).d_dname if read.d_op else 0
    if not function:
        return None
    top = guest.u64(mnt + structs.offsetof("struct vfsmount", "mnt_root"))
    if read.d_parent == dentry and dentry == top:
        return None
    name = d_name(dentry)
    inode = Inode(guest, read.d_inode).i_ino
    for symbol, text in {
        "simple_dname": b"/%s (deleted)" % name,
        "anon_inodefs_dname": b"anon_inode:%s" % name,
        "pipefs_dname": b"pipe:[%d]" % inode,
        "sockfs_dname": b"socket:[%d]" % inode,
    }.items():
        if _is_function(function, symbol):
            return text
    if _is_function(function, "ns_dname"):
        kind = guest.read_string(ProcNsOperations(guest, Ptr(read.d_fsdata)).name)
        return b"%s:[%d]" % (kind, inode)
    raise Fault(function, "a d_dname function that the lab does not know")


def _is_function(address: int, symbol: str) -> bool:
    """Is this the address of a function that not every kernel has?"""
    return structs.has_symbol(symbol) and structs.address_of(symbol) == address
