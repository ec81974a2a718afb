# SPDX-License-Identifier: GPL-2.0-only
"""Open files of a task: struct files_struct (include/linux/fdtable.h)."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from typing import Iterator, TypeVar

from ..printable import text_of
from ..target import kernel, structs
from ..target.cstruct import Ptr, Struct
from ..target.memory import Broken, Fault
from . import path, task, taskflags
from .maps import MINOR_BITS
from .structs.fs import Fdtable, File, FilesStruct, Inode, Mount, Path, Sock, Socket
from .structs.sched import TaskStruct

NR_OPEN = 1 << 20  # what sysctl_nr_open starts with: the most a process may have
WORD = 64  # bits of an unsigned long

O_ACCMODE = 0o3
ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")
O_CLOEXEC = 0o2000000
FLAGS = {  # include/uapi/asm-generic/fcntl.h
    **{0o100: "O_CREAT", 0o200: "O_EXCL", 0o400: "O_NOCTTY", 0o1000: "O_TRUNC"},
    **{0o2000: "O_APPEND", 0o4000: "O_NONBLOCK", 0o10000: "O_DSYNC"},
    **{0o20000: "O_ASYNC", 0o40000: "O_DIRECT", 0o100000: "O_LARGEFILE"},
    **{0o200000: "O_DIRECTORY", 0o400000: "O_NOFOLLOW", 0o1000000: "O_NOATIME"},
    **{O_CLOEXEC: "O_CLOEXEC", 0o4000000: "O_SYNC", 0o10000000: "O_PATH"},
    **{0o20000000: "O_TMPFILE"},
}
INCLUDES = {0o4000000: 0o10000, 0o20000000: 0o200000}  # of O_SYNC, of O_TMPFILE
structs.expect("sysctl_nr_open")


@dataclass(frozen=True)
class OpenFile:
    """A descriptor and what it stands for."""

    fd: int
    path: str  # as the link /proc/PID/fd/N
    kind: str
    pos: int
    flags: int  # as /proc/PID/fdinfo/N: f_flags, and O_CLOEXEC of the descriptor
    mnt_id: int | None
    inode: int | None
    file: Ptr[File]

    @property
    def flag_names(self) -> list[str]:
        """The flags as open(2) names them."""
        return open_flag_names(self.flags)


def open_flag_names(flags: int) -> list[str]:
    """The flags of open(2) by name."""
    rest = flags & ~O_ACCMODE
    for flag, part in INCLUDES.items():
        if rest & flag:
            rest &= ~part
    return [ACCESS[flags & O_ACCMODE], *taskflags.names(rest, FLAGS)]


def files_of(address: Ptr[TaskStruct]) -> Ptr[FilesStruct]:
    """The struct files_struct * of a task, 0 if it has ended.

    :param address: struct task_struct *
    :raises Fault: what it takes cannot be read
    """
    return TaskStruct(kernel.memory(), address).files


def with_files(address: Ptr[TaskStruct]) -> Ptr[TaskStruct] | None:
    """A task, or else a thread of its process, that has not closed its files yet.

    None if all have. Parameter and result: struct task_struct *. Raises
    memory.Fault, Broken.
    """
    if files_of(address):
        return address
    threads = task.for_each_thread(address)
    return next((thread for thread in threads if files_of(thread)), None)


def for_each_file(files: Ptr[FilesStruct], root: Ptr[Path]) -> Iterator[OpenFile]:
    """All open descriptors, the lowest first.

    A file that cannot be read has the reason as its path.

    :param files: struct files_struct *
    :param root: struct path * of the directory from which paths are told
    :raises Broken, Fault: a list or tree is damaged, or cannot be read
    """
    guest = kernel.memory()
    table = Fdtable(guest, FilesStruct(guest, files).fdt)
    limit = max(NR_OPEN, _nr_open())
    if not 0 < table.max_fds <= limit:
        raise Broken(f"the table has room for {table.max_fds} descriptors")
    count = table.max_fds
    pointers = struct.unpack(f"<{count}Q", guest.read(table.fd, 8 * count))
    closing, used = _bits(table.close_on_exec, count), _bits(table.open_fds, count)
    for fd, file in enumerate(pointers):
        if not file:
            continue
        if not _is_set(used, fd):  # as behind the end of a table
            raise Broken(f"descriptor {fd} has a file but is not marked as open")
        yield open_file(fd, file, _is_set(closing, fd), root)


def _bits(address: int, count: int) -> bytes:
    """A bitmap of so many bits, in whole words. Raises memory.Fault."""
    return kernel.memory().read(address, -(-count // WORD) * WORD // 8)


def _is_set(bitmap: bytes, bit: int) -> bool:
    return bool(bitmap[bit // 8] >> bit % 8 & 1)


def _nr_open() -> int:
    """The limit that /proc/sys/fs/nr_open sets."""
    if not structs.has_symbol("sysctl_nr_open"):
        return 0
    return kernel.memory().u64(structs.address_of("sysctl_nr_open")) & 0xFFFF_FFFF


def open_file(
    fd: int, file: Ptr[File], close_on_exec: bool, root: Ptr[Path]
) -> OpenFile:
    """One descriptor, as for_each_file() gives it."""
    try:
        read = File(kernel.memory(), file)
    except Fault as fault:
        return OpenFile(
            fd=fd,
            path=f"({fault})",
            kind="unreadable",
            pos=0,
            flags=0,
            mnt_id=None,
            inode=None,
            file=file,
        )
    try:
        name = text_of(path.file_path(file, root))
    except Fault as fault:
        name = f"({fault})"
    inode = _readable(Inode, read.f_inode)
    mount = Ptr[Mount](read.f_path_mnt - structs.offsetof("struct mount", "mnt"))
    return OpenFile(
        fd=fd,
        path=name,
        kind="unreadable" if inode is None else _kind(read, inode, name),
        pos=read.f_pos,
        flags=read.f_flags | (O_CLOEXEC if close_on_exec else 0),
        mnt_id=getattr(_readable(Mount, mount), "mnt_id", None),
        inode=getattr(inode, "i_ino", None),
        file=file,
    )


S = TypeVar("S", bound=Struct)


def _readable(form: type[S], address: Ptr[S]) -> S | None:
    """An object, None where there is none."""
    try:
        return form(kernel.memory(), address)
    except Fault:
        return None


def _kind(file: File, inode: Inode, name: str) -> str:
    """What a file is, in a few words."""
    mode = inode.i_mode
    if stat.S_ISSOCK(mode):
        return text(file.f_inode)
    if stat.S_ISFIFO(mode):
        ends = ("", "its reading end", "its writing end", "both ends")
        kind = "pipe" if name.startswith("pipe:[") else "FIFO"
        return f"{kind}, {ends[file.f_mode & 3]}".removesuffix(", ")
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        kind = "character" if stat.S_ISCHR(mode) else "block"
        major, minor = inode.i_rdev >> MINOR_BITS, inode.i_rdev & (1 << MINOR_BITS) - 1
        return f"{kind} device {major}:{minor}"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "symbolic link"
    return "file" if stat.S_ISREG(mode) else "anonymous inode"


TCP_LISTEN = 10  # include/net/tcp_states.h, of other families too
FAMILIES = {  # include/linux/socket.h
    **{1: "unix", 2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 40: "vsock"},
}
TYPES = {1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket"}  # include/linux/net.h


def SOCKET_I(inode: Ptr[Inode]) -> Ptr[Socket]:  # noqa: N802, as the kernel calls it
    """The struct socket * of a struct inode *. See include/net/sock.h."""
    allocated = inode - structs.offsetof("struct socket_alloc", "vfs_inode")
    return Ptr[Socket](allocated + structs.offsetof("struct socket_alloc", "socket"))


def text(inode: Ptr[Inode]) -> str:
    """Family, type and state of a socket."""
    guest = kernel.memory()
    try:
        socket = Socket(guest, SOCKET_I(inode))
        sock = Sock(guest, socket.sk) if socket.sk else None
    except Fault as fault:
        return f"socket ({fault})"
    words = [TYPES.get(socket.type, f"type {socket.type}"), "socket"]
    if sock is not None:
        words.insert(0, FAMILIES.get(sock.skc_family, f"family {sock.skc_family}"))
    if sock is not None and sock.skc_state == TCP_LISTEN:
        return f"{' '.join(words)}, listening"
    return f"{' '.join(words)}, {_states().get(socket.state, socket.state)}"


@structs.cached
def _states() -> dict[int, str]:
    """SS_CONNECTED as "connected": socket_state, include/uapi/linux/net.h."""
    found = structs.enumerators("socket_state")
    return {
        value: name.removeprefix("SS_").lower().replace("_", " ")
        for name, value in found.items()
    }
