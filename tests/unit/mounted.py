# SPDX-License-Identifier: GPL-2.0-only
"""Made-up files for unit tests: a file system that is mounted as the root."""

from __future__ import annotations

from lab.target import structs
from made_up import Guest


class Mounted:
    """A root directory, and files in it."""

    def __init__(self, guest: Guest, kind: bytes = b"ext4", device: int = 0) -> None:
        self.guest = guest
        self.top = guest.put("struct dentry")
        guest.set("struct dentry", self.top, "d_parent", self.top)
        members = {"mnt.mnt_root": self.top, "mnt_id": 21}
        mount = guest.put("struct mount", members)
        guest.set("struct mount", mount, "mnt_parent", mount)
        self.mnt = mount + structs.offsetof("struct mount", "mnt")
        named = guest.put("struct file_system_type", {"name": guest.string(kind)})
        device_members = {"s_type": named, "s_dev": device}
        self.device = guest.put("struct super_block", device_members)
        self.root = guest.put("struct path", {"mnt": self.mnt, "dentry": self.top})

    def file(
        self, name: bytes, *, inode: int = 0, mode: int = 0o100644, **more: int
    ) -> int:
        """Open a file in the root directory, and return its struct file *.

        :param inode: its number
        :param more: other members of struct file
        """
        guest = self.guest
        members = {"i_ino": inode, "i_mode": mode, "i_sb": self.device}
        node = guest.put("struct inode", members)
        names = {"d_parent": self.top, "d_inode": node, "d_hash.pprev": 1}
        names |= {"d_name.len": len(name), "d_name.name": guest.string(name)}
        dentry = guest.put("struct dentry", names)
        known = {"f_path.mnt": self.mnt, "f_path.dentry": dentry, "f_inode": node}
        return guest.put("struct file", known | more)
