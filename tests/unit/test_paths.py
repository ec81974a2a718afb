# SPDX-License-Identifier: GPL-2.0-only
"""Paths of files: from a struct path up to a root, across mounts, as by d_path()."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.linux import path
from lab.target import structs
from lab.target.memory import Fault
from made_up import PAGE_OFFSET, Guest


@dataclass
class Tree:
    """A root mount; a test adds names to its root folder."""

    guest: Guest
    mount: int
    root: int

    def name(self, parent: int, name: bytes, hashed: bool = True) -> int:
        """Make a struct dentry below another one."""
        members = {"d_parent": parent, "d_name.len": len(name)}
        members |= {"d_name.name": self.guest.string(name), "d_hash.pprev": int(hashed)}
        return self.guest.put("struct dentry", members)

    def mounted(self, at: int, parent: int) -> tuple[int, int]:
        """Make a struct mount on a dentry, and the struct dentry of its root."""
        top = self.guest.put("struct dentry")
        self.guest.set("struct dentry", top, "d_parent", top)
        members = {"mnt_parent": parent, "mnt_mountpoint": at, "mnt.mnt_root": top}
        return self.guest.put("struct mount", members), top

    def path(self, mount: int, dentry: int) -> int:
        """Make a struct path."""
        mnt = mount + structs.offsetof("struct mount", "mnt")
        return self.guest.put("struct path", {"mnt": mnt, "dentry": dentry})

    def d_path(self, dentry: int, mount: int = 0, root: int = 0) -> bytes:
        """Return the path of a dentry, from the root or another folder."""
        whole = self.path(self.mount, self.root)
        return path.d_path(self.path(mount or self.mount, dentry), root or whole)


@pytest.fixture
def tree(guest: Guest) -> Tree:
    """A tree with nothing in its root folder."""
    root = guest.put("struct dentry")
    guest.set("struct dentry", root, "d_parent", root)
    mount = guest.put("struct mount", {"mnt_mountpoint": root, "mnt.mnt_root": root})
    guest.set("struct mount", mount, "mnt_parent", mount)
    return Tree(guest, mount, root)


def test_the_root(tree: Tree) -> None:
    assert tree.d_path(tree.root) == b"/"


@pytest.mark.parametrize("name", [b"a", b"x" * 255, b"\xff\xfe", b"two words", b".."])
def test_a_name_in_the_root(tree: Tree, name: bytes) -> None:
    assert tree.d_path(tree.name(tree.root, name)) == b"/" + name


def test_names_in_folders(tree: Tree) -> None:
    place = tree.root
    for name in (b"usr", b"lib", b"x86_64-linux-gnu", b"libc.so.6"):
        place = tree.name(place, name)
    assert tree.d_path(place) == b"/usr/lib/x86_64-linux-gnu/libc.so.6"


def test_across_a_mount(tree: Tree) -> None:
    folder = tree.name(tree.name(tree.root, b"mnt"), b"share")
    mount, top = tree.mounted(folder, tree.mount)
    assert tree.d_path(top, mount) == b"/mnt/share"
    assert tree.d_path(tree.name(top, b"file"), mount) == b"/mnt/share/file"


def test_a_mount_on_a_mount(tree: Tree) -> None:
    folder = tree.name(tree.root, b"mnt")
    mount, top = tree.mounted(folder, tree.mount)
    inner, bottom = tree.mounted(tree.name(top, b"in"), mount)
    assert tree.d_path(tree.name(bottom, b"x"), inner) == b"/mnt/in/x"


def test_from_another_root(tree: Tree) -> None:
    home = tree.name(tree.root, b"home")
    root = tree.path(tree.mount, home)
    assert tree.d_path(tree.name(home, b"me"), root=root) == b"/me"
    assert tree.d_path(home, root=root) == b"/"


def test_a_name_that_is_gone(tree: Tree) -> None:
    gone = tree.name(tree.root, b"file", hashed=False)
    assert tree.d_path(gone) == b"/file (deleted)"


def test_a_mount_that_is_attached_nowhere(tree: Tree) -> None:
    mount, top = tree.mounted(tree.root, tree.mount)
    tree.guest.set("struct mount", mount, "mnt_parent", mount)
    assert tree.d_path(tree.name(top, b"file"), mount) == b"/file"


def test_parents_without_an_end(tree: Tree) -> None:
    first = tree.name(tree.root, b"one")
    second = tree.name(first, b"two")
    tree.guest.set("struct dentry", first, "d_parent", second)
    with pytest.raises(Fault, match="have no end"):
        tree.d_path(second)


@pytest.mark.parametrize("length", [4097, 1 << 31])
def test_a_name_that_is_none(tree: Tree, length: int) -> None:
    dentry = tree.name(tree.root, b"one")
    tree.guest.set("struct dentry", dentry, "d_name.len", length)
    with pytest.raises(Fault, match="is none"):
        tree.d_path(dentry)


def test_a_parent_that_is_nowhere(tree: Tree) -> None:
    dentry = tree.name(tree.root, b"one")
    tree.guest.set("struct dentry", dentry, "d_parent", PAGE_OFFSET + (1 << 40))
    with pytest.raises(Fault):
        tree.d_path(dentry)


def test_a_line_of_maps_has_no_newline() -> None:
    assert path.mangle_path(b"/a\nb") == rb"/a\012b"
