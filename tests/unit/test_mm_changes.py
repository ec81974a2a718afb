# SPDX-License-Identifier: GPL-2.0-only
"""How the areas of an mm have changed between two moments."""

from __future__ import annotations

import pytest
from areas import space

from lab.linux import maps, mm_changes
from lab.linux.mm_changes import FOLLOWED, Piece, Snapshot, changes
from lab.schema import plain
from lab.target import structs
from lab.view import timeline
from made_up import Guest

READ, WRITE, EXEC, SHARED = 1, 2, 4, 8
RW = READ | WRITE
PAGE = 0x1000
FILE = 0xFFFF_8880_0001_0000


def piece(
    start: int, end: int, flags: int = RW, file: int = 0, pgoff: int = -1, vma: int = 0
) -> Piece:
    """Make an area; numbers are pages. By default vm_pgoff is that of anonymous memory."""
    begins = pgoff if pgoff >= 0 else start
    name = "/file" if file else ""
    return Piece(
        start=start * PAGE,
        end=end * PAGE,
        flags=flags,
        pgoff=begins,
        file=file,
        name=name,
        vma=vma or start,
    )


def snapshot(*pieces: Piece, **boundaries: int) -> Snapshot:
    """Make the snapshot of an mm with these areas."""
    return Snapshot(1, pieces, dict.fromkeys(FOLLOWED, 0) | boundaries)


def kinds(
    before: list[Piece], after: list[Piece], anew: tuple[int, int] = (0, 0)
) -> list[str]:
    """Compare two mms, and return the kinds of the changes."""
    return [
        change.kind for change in changes(snapshot(*before), snapshot(*after), anew)
    ]


A, B = piece(1, 3), piece(8, 9, READ | EXEC, FILE, 0)


def test_nothing() -> None:
    assert kinds([A, B], [A, B]) == []


def test_added_and_removed() -> None:
    assert kinds([A], [A, B]) == ["added"]
    assert kinds([A, B], [B]) == ["removed"]


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (piece(1, 5), "grown"),
        (piece(1, 2), "shrunk"),
        (piece(2, 3), "shrunk"),
        (piece(0, 3), "grown"),
        (piece(1, 3, READ), "protected"),
        (piece(1, 3, RW | 0x2000), "flagged"),
        (piece(1, 3, RW, FILE, 7), "replaced"),
        (piece(1, 3, RW | SHARED), "replaced"),
    ],
)
def test_one_area_that_became_another(after: Piece, kind: str) -> None:
    assert kinds([A], [after]) == [kind]


def test_split_and_merged() -> None:
    whole = piece(1, 5)
    parts = [piece(1, 2), piece(2, 3, READ), piece(3, 5)]
    assert kinds([whole], parts) == ["split"]
    assert kinds(parts, [whole]) == ["merged"]


def test_a_hole_in_the_middle_is_a_split() -> None:
    assert kinds([piece(1, 5)], [piece(1, 2), piece(3, 5)]) == ["split"]


def test_a_border_that_moved() -> None:
    before = [piece(1, 3), piece(3, 5, READ)]
    after = [piece(1, 2), piece(2, 5, READ)]
    assert kinds(before, after) == ["rearranged"]


def test_moved() -> None:
    """mremap() moves the same area."""
    old, new = piece(1, 3, vma=7), piece(20, 22, pgoff=1, vma=7)
    (found,) = changes(snapshot(old), snapshot(new))
    assert found.kind == "moved" and (found.before, found.after) == ((old,), (new,))


def test_another_area_at_the_same_place_in_the_slab_is_not_moved() -> None:
    old, new = piece(1, 3, vma=7), piece(20, 25, vma=7)
    assert kinds([old], [new]) == ["removed", "added"]


def test_what_was_mapped_anew_is_replaced_however_alike() -> None:
    assert kinds([A], [A], (PAGE, 3 * PAGE)) == ["replaced"]
    assert kinds([A, B], [A, B], (8 * PAGE, 9 * PAGE)) == ["replaced"]


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_boundary(name: str) -> None:
    (found,) = changes(snapshot(A, **{name: 5}), snapshot(A, **{name: 9}))
    assert (found.kind, found.boundary, found.old, found.new) == (
        "boundary",
        name,
        5,
        9,
    )
    written = {"kind": "boundary", "boundary": name, "before": 5, "after": 9}
    assert plain(found.data) == written


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ([], [A], ["added 1000-3000 rw-p 8 KiB"]),
        ([A], [], ["removed 1000-3000 rw-p 8 KiB"]),
        ([A], [piece(1, 3, READ)], ["protected 1000-3000 r--p 8 KiB, was rw-p"]),
        ([A], [piece(1, 5)], ["grown by 8 KiB at its end: 1000-5000 rw-p 16 KiB"]),
        ([A], [piece(2, 3)], ["shrunk by 4 KiB at its start: 2000-3000 rw-p 4 KiB"]),
    ],
)
def test_in_words(before: list[Piece], after: list[Piece], lines: list[str]) -> None:
    (found,) = changes(snapshot(*before), snapshot(*after))
    assert timeline.change_lines(found) == lines


def test_a_moved_boundary_in_words() -> None:
    (found,) = changes(snapshot(brk=0x1000), snapshot(brk=0x22000))
    assert timeline.change_text(found) == "brk 1000 -> 22000, 132 KiB up"


def test_a_name_is_no_part_of_an_area() -> None:
    """The heap's changes when brk moves across an area; a struct may be a new one."""
    assert kinds([A], [A._replace(name="[heap]", vma=0x77)]) == []


@pytest.mark.parametrize("name", ["start", "end", "flags", "pgoff", "file"])
def test_what_makes_an_area_the_same(name: str) -> None:
    assert kinds([A], [A._replace(**{name: getattr(A, name) + PAGE})])


def shared_file(guest: Guest) -> tuple[int, int]:
    """Make the file /shm: its struct file *, and the struct path * of the root."""
    root = guest.put("struct dentry")
    guest.set("struct dentry", root, "d_parent", root)
    mount = guest.put("struct mount", {"mnt.mnt_root": root})
    guest.set("struct mount", mount, "mnt_parent", mount)
    mnt = mount + structs.offsetof("struct mount", "mnt")
    name = {"d_name.name": guest.string(b"shm"), "d_name.len": 3}
    dentry = guest.put("struct dentry", {"d_parent": root, "d_hash.pprev": 1, **name})
    kind = guest.put("struct file_system_type", {"name": guest.string(b"tmpfs")})
    device = guest.put("struct super_block", {"s_type": kind})
    inode = guest.put("struct inode", {"i_sb": device})
    at = {"f_path.mnt": mnt, "f_path.dentry": dentry, "f_inode": inode}
    return (
        guest.put("struct file", at),
        guest.put("struct path", {"mnt": mnt, "dentry": root}),
    )


def test_names_are_those_of_maps(new: Guest) -> None:
    """Two areas show one file, and prctl(PR_SET_VMA_ANON_NAME) named the second.

    Since v6.2 (d09e8ca6cb93) it names shared memory too, which has a file.
    """
    file, root = shared_file(new)
    made = space(new, (PAGE, 2 * PAGE), (2 * PAGE, 3 * PAGE), (4 * PAGE, 5 * PAGE))
    name = new.room(64) + structs.offsetof("struct anon_vma_name", "name")
    new.write(name, b"mine\0")
    for number in (0, 1):
        made.member(number, "vm_file", file)
    made.member(1, "anon_name", name - structs.offsetof("struct anon_vma_name", "name"))
    taken = mm_changes.snapshot(made.mm, root)
    assert [piece.name for piece in taken.pieces] == ["/shm", "[anon_shmem:mine]", ""]
    areas = [maps.area_of(area, made.mm, root) for area in made.areas]
    assert [piece.data for piece in taken.pieces] == [
        (area.start, area.end, area.perms, area.name) for area in areas
    ]
