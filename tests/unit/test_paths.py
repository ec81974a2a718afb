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


@pytest.fixture
def escaped(tree: Tree) -> int:
    """A folder that was moved out of the bind mount by which it is reached.

    Above it is the root of its file system, which no longer is below the mount's root.
    """
    top = tree.guest.put("struct dentry")
    tree.guest.set("struct dentry", top, "d_parent", top)
    return tree.name(top, b"folder")


def test_what_was_moved_out_of_its_bind_mount(tree: Tree, escaped: int) -> None:
    """prepend_path() gives up, and d_path() has only the slash."""
    assert tree.d_path(tree.name(escaped, b"file")) == b"/"
    gone = tree.name(escaped, b"file", hashed=False)
    assert tree.d_path(gone) == b"/ (deleted)"


def test_the_path_of_an_open_file(tree: Tree) -> None:
    name = tree.name(tree.root, b"file")
    mnt = tree.mount + structs.offsetof("struct mount", "mnt")
    members = {"f_path.mnt": mnt, "f_path.dentry": name}
    file = tree.guest.put("struct file", members)
    assert path.file_path(file, tree.path(tree.mount, tree.root)) == b"/file"


def test_a_rename_and_a_mount_change_the_numbers(tree: Tree) -> None:
    before = path.moves()
    member = "seqcount.seqcount.sequence"
    for number, lock in enumerate(("rename_lock", "mount_lock")):
        tree.guest.set("seqlock_t", structs.address_of(lock), member, 2 + number)
    assert before == (0, 0) and path.moves() == (2, 3)


def pseudo(tree: Tree, function: str, name: bytes, inode: int = 7) -> int:
    """Make a struct dentry whose file system makes up its names by this function."""
    guest = tree.guest
    ops = guest.put(
        "struct dentry_operations", {"d_dname": structs.address_of(function)}
    )
    made = tree.name(tree.root, name)
    members = {"d_op": ops, "d_inode": guest.put("struct inode", {"i_ino": inode})}
    return guest.put("struct dentry", members, made)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("simple_dname", b"/name (deleted)"),
        ("anon_inodefs_dname", b"anon_inode:name"),
        ("pipefs_dname", b"pipe:[7]"),
        ("sockfs_dname", b"socket:[7]"),
        ("ns_dname", b"net:[7]"),
    ],
)
def test_names_that_are_made_up(tree: Tree, function: str, text: bytes) -> None:
    guest = tree.guest
    guest.symbol(function)
    dentry = pseudo(tree, function, b"name")
    kind = {"name": guest.string(b"net")}
    operations = guest.put("struct proc_ns_operations", kind)
    guest.set("struct dentry", dentry, "d_fsdata", operations)
    assert tree.d_path(dentry) == text


def test_a_name_that_an_unknown_function_makes_up(tree: Tree) -> None:
    tree.guest.symbol("shiny_dname")
    with pytest.raises(Fault, match="that the lab does not know"):
        tree.d_path(pseudo(tree, "shiny_dname", b"name"))


def test_operations_without_a_function_for_names(tree: Tree) -> None:
    dentry = tree.name(tree.root, b"name")
    ops = tree.guest.put("struct dentry_operations")
    tree.guest.set("struct dentry", dentry, "d_op", ops)
    assert tree.d_path(dentry) == b"/name"


def test_the_root_of_a_pseudo_file_system_has_a_plain_name(tree: Tree) -> None:
    tree.guest.symbol("simple_dname")
    root = pseudo(tree, "simple_dname", b"root")
    tree.guest.set("struct dentry", root, "d_parent", root)
    mount = tree.guest.put("struct mount", {"mnt.mnt_root": root})
    tree.guest.set("struct mount", mount, "mnt_parent", mount)
    assert tree.d_path(root, mount) == b"/"


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
