# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/fs.h, dcache.h, path.h, fdtable.h and fs/mount.h."""

from __future__ import annotations

from ...target.cstruct import S16, S32, S64, U8, U16, U32, U64, Ptr, Struct, at


class File(Struct, name="struct file"):
    """An open file: include/linux/fs.h."""

    f_path_mnt: Ptr[VfsMount] = at("f_path.mnt")
    f_path_dentry: Ptr[Dentry] = at("f_path.dentry")
    f_inode: Ptr[Inode]
    f_op: Ptr[object]
    f_flags: U32
    f_mode: U32
    f_pos: S64
    f_mapping: Ptr[AddressSpace]


class Inode(Struct, name="struct inode"):
    """A file, whatever its names: include/linux/fs.h."""

    i_mode: U16
    i_sb: Ptr[SuperBlock]
    i_ino: U64
    i_rdev: U32
    i_size: S64
    i_generation: U32
    i_mapping: Ptr[AddressSpace]
    i_dentry: Ptr[object] = at("i_dentry.first")  # struct hlist_node *, by d_alias


class SuperBlock(Struct, name="struct super_block"):
    """A mounted file system: include/linux/fs.h."""

    s_dev: U32
    s_type: Ptr[FileSystemType]


class FileSystemType(Struct, name="struct file_system_type"):
    """A kind of file system: include/linux/fs.h."""

    name: Ptr[object]


class AddressSpace(Struct, name="struct address_space"):
    """The page cache of a file: include/linux/fs.h."""

    host: Ptr[Inode]
    xa_head: Ptr[object] = at("i_pages.xa_head")
    nrpages: U64


class Filename(Struct, name="struct filename"):
    """A path as a system call got it: include/linux/fs.h."""

    name: Ptr[object]


class Path(Struct, name="struct path"):
    """A file by its mount and its name: include/linux/path.h."""

    mnt: Ptr[VfsMount]
    dentry: Ptr[Dentry]


class Dentry(Struct, name="struct dentry"):
    """A name in a folder: include/linux/dcache.h."""

    d_hash_pprev: Ptr[object] = at("d_hash.pprev")
    d_parent: Ptr[Dentry]
    d_name_len: U32 = at("d_name.len")
    d_name: Ptr[object] = at("d_name.name")
    d_inode: Ptr[Inode]
    d_op: Ptr[DentryOperations]
    d_fsdata: Ptr[object]


class DentryOperations(Struct, name="struct dentry_operations"):
    """What a name can do: include/linux/dcache.h."""

    d_dname: Ptr[object]


class ProcNsOperations(Struct, name="struct proc_ns_operations"):
    """A kind of namespace: include/linux/proc_ns.h."""

    name: Ptr[object]


class VfsMount(Struct, name="struct vfsmount"):
    """The part of a struct mount that file systems see: include/linux/mount.h."""

    mnt_root: Ptr[Dentry]


class Mount(Struct, name="struct mount"):
    """A file system in its place: fs/mount.h."""

    mnt_parent: Ptr[Mount]
    mnt_mountpoint: Ptr[Dentry]
    mnt_root: Ptr[Dentry] = at("mnt.mnt_root")
    mnt_id: S32


class FsStruct(Struct, name="struct fs_struct"):
    """Root and working directory of a process: include/linux/fs_struct.h."""


class FilesStruct(Struct, name="struct files_struct"):
    """The open files of a process: include/linux/fdtable.h."""

    fdt: Ptr[Fdtable]


class Fdtable(Struct, name="struct fdtable"):
    """Descriptors: include/linux/fdtable.h."""

    max_fds: U32
    fd: Ptr[object]
    close_on_exec: Ptr[object]
    open_fds: Ptr[object]


class Socket(Struct, name="struct socket"):
    """A socket as a file: include/linux/net.h."""

    state: U32
    type: S16
    sk: Ptr[Sock]


class Sock(Struct, name="struct sock"):
    """A socket as the network has it: include/net/sock.h."""

    skc_family: U16 = at("__sk_common.skc_family")
    skc_state: U8 = at("__sk_common.skc_state")
